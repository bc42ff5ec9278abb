"""A server of notes in a process of its own: `python server.py FILE`; it says its port."""

import asyncio
import socket
import sys
from contextlib import suppress
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))

import uvicorn  # the path to these tests comes first

from dashtam_events import SQLiteEventStore
from dashtam_events.sse import SSEEndpoint
from tests.sse.serving import NOTES, authenticate


async def serve(file: str) -> None:
    """Serve until a signal comes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with SQLiteEventStore(file, registry=NOTES) as store:
            app = SSEEndpoint(authenticate=authenticate, store=store)
            config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5)
            print(listening.getsockname()[1], flush=True)
            await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(sys.argv[1]))
