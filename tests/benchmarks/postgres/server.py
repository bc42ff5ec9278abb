"""A server of PostgreSQL from a wheel, and a schema of its own for each sample."""

import asyncio
import atexit
import tempfile
from functools import cache
from itertools import count
from typing import Any

import asyncpg

from tests.benchmarks.postgres.processes import Children
from tests.postgres_wheel import server_in

__all__ = ["CONNECTIONS", "address", "new_schema", "processor_seconds", "server_version"]

CONNECTIONS = 32
_numbers = count(1)


@cache
def _server() -> Any:
    """Started once, it runs until this process ends."""
    folder = tempfile.TemporaryDirectory(prefix="pg-")
    server = server_in(folder.name)
    atexit.register(folder.cleanup)
    atexit.register(server.cleanup)
    return server


@cache
def _children() -> Children:
    return Children(_server().get_pid())


def address() -> str:
    """The address of a server that is started when it is first asked for."""
    return str(_server().get_uri())


def processor_seconds() -> float:
    """What its processes have used of the processors, from some moment on."""
    return _children().seconds()


def new_schema(kind: str) -> str:
    """A name that no sample has used."""
    return f"{kind}_{next(_numbers)}"


def server_version() -> str:
    """Which release it is."""

    async def ask() -> str:
        connection = await asyncpg.connect(address())
        try:
            return str(await connection.fetchval("SHOW server_version"))
        finally:
            await connection.close()

    return asyncio.run(ask())
