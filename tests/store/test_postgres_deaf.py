"""A store that cannot listen says so once, and says when it can again."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from dashtam_events.testing._store_samples import a_stream, lit
from tests.postgres_server import Listening, Open, asking, end

_QUIET = 0.7


class _Heard(logging.Handler):
    """What the logger of the stores says, to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.records: asyncio.Queue[logging.LogRecord] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.put_nowait(record)

    async def next(self) -> Any:
        async with asyncio.timeout(60):
            return await self.records.get()


@pytest.fixture
def heard() -> Iterator[_Heard]:
    logger, heard = logging.getLogger("dashtam_events.store"), _Heard()
    level = logger.level
    logger.addHandler(heard)
    logger.setLevel(logging.INFO)
    yield heard
    logger.removeHandler(heard)
    logger.setLevel(level)


async def test_an_address_that_nobody_listens_at_is_reported_once(
    open_store: Open, schema: str, heard: _Heard
) -> None:
    dead = "postgresql://canary:canary@127.0.0.1:1/db?application_name=canary"
    async with open_store(listen_dsn=dead, poll_interval=0.1) as store:
        waiting = asyncio.create_task(store.wait(after=None, timeout=30))
        said = await heard.next()
        await asyncio.sleep(_QUIET)
        await store.append(a_stream(), lit())
        assert await waiting
    assert heard.records.empty()
    assert (said.levelname, said.getMessage()) == ("WARNING", "store_not_listening")
    assert said.store == f"postgresql://127.0.0.1:1/db ({schema})"
    assert said.error.startswith(f"{said.store}: the server cannot be reached: ")
    assert (
        said.stack_info == f"new events are looked for now and then, and not heard of: {said.error}"
    )
    assert "canary" not in str(said.__dict__)


async def test_listening_again_is_reported_and_so_is_the_next_outage(
    open_store: Open, dsn: str, schema: str, heard: _Heard, listening: Listening
) -> None:
    role = f"ear_{schema}"
    ear = dsn.replace("postgres:@", f"{role}@")
    async with open_store(listen_dsn=ear, poll_interval=60) as store, asking(dsn) as other:
        waiting = asyncio.create_task(store.wait(after=None, timeout=60))
        for _ in range(2):
            said = await heard.next()
            assert (said.levelname, said.getMessage()) == ("WARNING", "store_not_listening")
            await other.execute(f"CREATE ROLE {role} LOGIN")
            said = await heard.next()
            assert (said.levelname, said.getMessage()) == ("INFO", "store_listening_again")
            await other.execute(f"DROP ROLE {role}")
            await end(other, await listening())
        waiting.cancel()


async def test_a_connection_that_is_replaced_at_once_is_not_reported(
    open_store: Open, dsn: str, heard: _Heard, listening: Listening
) -> None:
    async with open_store() as store, asking(dsn) as other:
        assert not await store.wait(after=None, timeout=0.01)
        await end(other, await listening())
        await listening()
    assert heard.records.empty()
