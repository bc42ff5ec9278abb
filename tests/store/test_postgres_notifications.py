"""What a notification is good for: it wakes who waits, and is believed for no longer than that."""

import asyncio

import pytest

from dashtam_events.store.postgres._schema import CHANNEL
from dashtam_events.testing._store_samples import a_stream, lit
from tests.postgres_server import Listening, Open, asking

NOTIFY = "SELECT pg_notify($1, $2)"
WRITE_BY_HAND = """
INSERT INTO {schema}.events (
    position, event_id, stream, version, type, schema_version, recorded_at, data
)
SELECT position + 1, gen_random_uuid(), stream, version + 1, type, schema_version, recorded_at, data
FROM {schema}.events
"""


async def test_a_forged_notification_wakes_once_and_is_not_believed_again(
    open_store: Open, dsn: str, schema: str, listening: Listening
) -> None:
    async with open_store(poll_interval=60) as store, asking(dsn) as other:
        waiting = asyncio.create_task(store.wait(after=None, timeout=50))
        await listening()
        async with asyncio.timeout(30):
            await other.execute(NOTIFY, CHANNEL.format(schema=schema), "9" * 18)
            await waiting
        assert not await store.wait(after=None, timeout=0.2)


@pytest.mark.parametrize("said", ["", "x", "-1", "1e3", "1" * 20, "\N{ARABIC-INDIC DIGIT ONE}"])
async def test_a_notification_that_tells_no_position_leads_to_a_look(
    open_store: Open, dsn: str, schema: str, said: str, listening: Listening
) -> None:
    async with open_store(poll_interval=60) as store, asking(dsn) as other:
        after = (await store.append(a_stream(), lit())).recorded[-1].position
        waiting = asyncio.create_task(store.wait(after=after, timeout=50))
        await listening()
        await other.execute(NOTIFY, CHANNEL.format(schema=schema), said)
        assert not (await asyncio.wait([waiting], timeout=0.2))[0]
        await other.execute(WRITE_BY_HAND.format(schema=schema))
        await other.execute(NOTIFY, CHANNEL.format(schema=schema), said)
        async with asyncio.timeout(30):
            assert await waiting


async def test_a_log_that_became_shorter_is_waited_for_where_it_ends_now(
    open_store: Open, dsn: str, schema: str
) -> None:
    async with open_store(poll_interval=60) as store, asking(dsn) as other:
        first, last = (await store.append(a_stream(), lit(2))).recorded
        await other.execute(f"DELETE FROM {schema}.events WHERE position > {first.position}")
        for after in (first.position, last.position):
            assert not await store.wait(after=after, timeout=0.2)
        waiting = asyncio.create_task(store.wait(after=first.position, timeout=50))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(30):
            await store.append(a_stream(), lit())
            assert await waiting
