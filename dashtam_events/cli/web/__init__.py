"""The demo on a page: a small service around the connection, and a window onto all that it stores.

It needs the extra `web`, and binds to this machine alone.
"""

from importlib.util import find_spec

from dashtam_events.errors import MissingExtra

if any(find_spec(name) is None for name in ("aiosqlite", "sqlalchemy", "starlette", "uvicorn")):
    raise MissingExtra("web")

from dashtam_events.cli.web.app import create_app
from dashtam_events.cli.web.server import serve

__all__ = ["create_app", "serve"]
