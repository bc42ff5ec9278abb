"""Serving the page on this machine until Ctrl-C."""

import socket
from pathlib import Path

import click
import uvicorn

from dashtam_events.cli.web.app import create_app

__all__ = ["serve"]

_HERE = "127.0.0.1"


def serve(path: Path, *, port: int, pause: float = 0.4) -> None:
    """Serve the page for the store in a file; returns when it is told to end.

    Args:
        path: the file of the store.
        port: where to listen on 127.0.0.1; 0 takes any that is free.
        pause: as for `create_app`.

    Raises:
        click.ClickException: the port is taken.
    """
    try:
        listening = socket.create_server((_HERE, port))
    except OSError as error:
        raise click.ClickException(f"port {port} cannot be used: {error.strerror}") from None
    with listening:
        click.echo(f"The file: {path}")
        click.echo(f"Open http://{_HERE}:{listening.getsockname()[1]} (Ctrl-C ends it)")
        app = create_app(path, pause=pause)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3)
        uvicorn.Server(config).run(sockets=[listening])
