"""The second half of the stores' contract: what is promised to those who read and wait."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.store.protocol import EventStore
from dashtam_events.testing._store_samples import (
    KeyHandedOver,
    LampLit,
    LampPutOut,
    a_stream,
    lit,
    log_of,
    stream_of,
)

__all__ = ["ReadingContract"]

_PATIENCE = 20.0
"""How many seconds a store may take for what should be there at once."""


async def _versions(store: EventStore, stream: StreamId, **bounds: Any) -> list[int]:
    return [recorded.version async for recorded in store.read_stream(stream, **bounds)]


async def _doors(store: EventStore, **filters: Any) -> list[object]:
    """What the filtered log holds, each event as its class and number."""
    found = [recorded.event async for recorded in store.read_all(**filters)]
    return [(type(event).__name__, getattr(event, "number", 0)) for event in found]


class ReadingContract:
    """Streams, the log and its filters, positions, and waiting for more."""

    async def test_a_stream_is_read_in_order(self, store: EventStore) -> None:
        """A stream comes back whole, in the order in which it was appended, and alone."""
        stream, other = a_stream(), a_stream()
        events = lit(7)
        for one in events:
            await store.append(stream, [one])
            await store.append(other, lit(2))
        read = await stream_of(store, stream)
        assert [recorded.event for recorded in read] == events
        assert [recorded.version for recorded in read] == list(range(1, 8))
        assert {recorded.stream for recorded in read} == {stream}

    async def test_a_long_stream_is_read_in_order(self, store: EventStore) -> None:
        """Length changes nothing: 1,500 events come back in order, from the middle too."""
        stream = a_stream()
        await store.append(stream, lit(1500))
        assert await _versions(store, stream) == list(range(1, 1501))
        assert await _versions(store, stream, after=700) == list(range(701, 1501))
        assert [recorded.version for recorded in await log_of(store)] == list(range(1, 1501))

    async def test_a_stream_that_is_not_there_is_empty(self, store: EventStore) -> None:
        """A stream that nobody appended to has no events."""
        await store.append(a_stream(), lit())
        assert await stream_of(store, a_stream()) == []

    async def test_a_stream_is_read_between_versions(self, store: EventStore) -> None:
        """`after` is left out, `until_version` is the last one read."""
        stream = a_stream()
        await store.append(stream, lit(5))
        assert await _versions(store, stream, after=2) == [3, 4, 5]
        assert await _versions(store, stream, until_version=2) == [1, 2]
        assert await _versions(store, stream, after=1, until_version=3) == [2, 3]
        assert await _versions(store, stream, after=5) == []
        assert await _versions(store, stream, until_version=0) == []

    async def test_a_stream_is_read_as_it_stood(self, store: EventStore) -> None:
        """`until_time` reads the stream as it stood at that instant, the instant included."""
        stream = a_stream()
        instants = []
        for _ in range(3):
            instants.append((await store.append(stream, lit(2))).recorded[0].recorded_at)
            await asyncio.sleep(0.002)
        moment = timedelta(microseconds=1)
        for index, instant in enumerate(instants):
            before = await _versions(store, stream, until_time=instant - moment)
            assert before == list(range(1, 2 * index + 1))
            standing = await _versions(store, stream, until_time=instant)
            assert standing == list(range(1, 2 * index + 3))

    async def test_a_naive_time_is_refused(self, store: EventStore) -> None:
        """A time without a timezone is no instant."""
        with pytest.raises(ValueError, match="aware"):
            await _versions(store, a_stream(), until_time=datetime(2026, 1, 1))  # noqa: DTZ001  # the mistake

    async def test_the_log_is_in_the_order_of_the_appends(self, store: EventStore) -> None:
        """The log holds every event once, in commit order, and positions only grow."""
        events = lit(6)
        streams = [a_stream(), a_stream()]
        for index, one in enumerate(events):
            await store.append(streams[index % 2], [one])
        log = await log_of(store)
        assert [recorded.event for recorded in log] == events
        positions = [recorded.position for recorded in log]
        assert positions == sorted(set(positions))

    async def test_the_log_goes_on_after_a_position(self, store: EventStore) -> None:
        """A reader who resumes after any position sees exactly what is behind it."""
        await store.append(a_stream(), lit(5))
        log = await log_of(store)
        for index, recorded in enumerate(log, 1):
            rest = [seen async for seen in store.read_all(after=recorded.position)]
            assert rest == log[index:]

    async def test_the_log_is_read_up_to_a_limit(self, store: EventStore) -> None:
        """At most `limit` events are read, counted after the filters; a negative one is refused."""
        await store.append(a_stream(), [*lit(3), LampPutOut(number=4), *lit(3)])
        for limit in (0, 1, 3, 7, 9):
            assert len([seen async for seen in store.read_all(limit=limit)]) == min(limit, 7)
        assert await _doors(store, types=[LampPutOut], limit=1) == [("LampPutOut", 4)]
        assert len(await _doors(store, types=[LampLit], limit=5)) == 5
        with pytest.raises(ValueError, match="limit"):
            await _doors(store, limit=-1)

    async def test_the_log_is_filtered_by_type(self, store: EventStore) -> None:
        """Types are given as classes, as stored names, or both; unknown ones match nothing."""
        await store.append(
            a_stream(), [LampLit(number=1), LampPutOut(number=2), KeyHandedOver(door="north")]
        )
        assert await _doors(store, types=[LampLit]) == [("LampLit", 1)]
        assert await _doors(store, types=["LampPutOut", LampLit]) == [
            ("LampLit", 1),
            ("LampPutOut", 2),
        ]
        assert await _doors(store, types=["NeverHappened"]) == []
        assert await _doors(store, types=[]) == []
        with pytest.raises(TypeError, match="collections"):
            await _doors(store, types="LampLit")

    async def test_the_log_is_filtered_by_category(self, store: EventStore) -> None:
        """Categories are those that the events declare; filters must all hold."""
        await store.append(
            a_stream(), [LampLit(number=1), LampPutOut(number=2), KeyHandedOver(door="north")]
        )
        assert await _doors(store, categories=["light"]) == [("LampLit", 1), ("LampPutOut", 2)]
        assert await _doors(store, categories=["keys", "none"]) == [("KeyHandedOver", 0)]
        assert await _doors(store, categories=["light"], types=[LampPutOut, KeyHandedOver]) == [
            ("LampPutOut", 2)
        ]
        assert await _doors(store, categories=["keys"], types=[LampLit]) == []

    async def test_the_log_is_filtered_by_subject(self, store: EventStore) -> None:
        """A subject is whom an event declares to be about, as the value or as text."""
        one, two = uuid4(), uuid4()
        await store.append(a_stream(), [*lit(2, owner=one), *lit(1, owner=two), *lit(1)])
        assert await _doors(store, subject=one) == [("LampLit", 1), ("LampLit", 2)]
        assert await _doors(store, subject=str(two)) == [("LampLit", 1)]
        assert await _doors(store, subject=one, types=["LampLit"], limit=1) == [("LampLit", 1)]
        assert await _doors(store, subject=one, types=[LampPutOut]) == []
        assert await _doors(store, subject=uuid4()) == []

    async def test_a_filtered_log_goes_on_after_a_position(self, store: EventStore) -> None:
        """Resuming works with every filter as without."""
        owner = uuid4()
        for _ in range(4):
            await store.append(
                a_stream(), [*lit(1, owner=owner), LampPutOut(number=2), KeyHandedOver(door="n")]
            )
        filters: list[dict[str, Any]] = [
            {"subject": owner},
            {"types": [LampPutOut]},
            {"categories": ["light"]},
        ]
        for given in filters:
            found = [recorded async for recorded in store.read_all(**given)]
            for index, recorded in enumerate(found, 1):
                rest = [seen async for seen in store.read_all(after=recorded.position, **given)]
                assert rest == found[index:]

    async def test_an_event_says_where_it_stands(self, store: EventStore) -> None:
        """`position_of` is the position of the event in the log; None for an unknown one."""
        await store.append(a_stream(), lit(3))
        for recorded in await log_of(store):
            assert await store.position_of(recorded.event.event_id) == recorded.position
        assert await store.position_of(uuid4()) is None
        with pytest.raises(TypeError, match="UUID"):
            await store.position_of(str(uuid4()))  # type: ignore[arg-type]  # the mistake

    async def test_the_last_position_is_that_of_the_last_event(self, store: EventStore) -> None:
        """The last position grows with every append; an empty log has none."""
        assert await store.last_position() is None
        for _ in range(3):
            result = await store.append(a_stream(), lit(2))
            assert await store.last_position() == result.position

    async def test_an_iterator_may_be_left_and_another_begun(self, store: EventStore) -> None:
        """An iterator that is left half-way hinders neither readers nor writers."""
        await store.append(a_stream(), lit(300))
        left = store.read_all()
        first = await anext(left)
        await store.append(a_stream(), lit())
        assert len(await log_of(store)) == 301
        assert (await anext(left)).position > first.position

    async def test_who_appends_while_reading_comes_to_an_end(self, store: EventStore) -> None:
        """The log that is read does not run away from a reader who lengthens it."""
        stream = a_stream()
        await store.append(stream, lit(3))
        read = 0
        async for _ in store.read_all():
            read += 1
            assert read < 1_000, "the iterator does not end"
            await store.append(stream, lit())
        assert read >= 3

    async def test_a_number_beyond_all_others_means_what_it_says(self, store: EventStore) -> None:
        """Positions and versions may be any integer; what is none is refused."""
        stream = a_stream()
        await store.append(stream, lit(3))
        far = 2**70
        assert await _versions(store, stream, after=-far, until_version=far) == [1, 2, 3]
        assert await _versions(store, stream, after=far) == []
        assert await _versions(store, stream, until_version=-far) == []
        assert len(await _doors(store, after=Position(-far), limit=far)) == 3
        assert await _doors(store, after=Position(far)) == []
        for wrong in ({"after": "1"}, {"limit": 2.5}):
            with pytest.raises(TypeError, match="is an integer"):
                await _doors(store, **wrong)
        with pytest.raises(TypeError, match="is an integer"):
            await _versions(store, stream, until_version=1.0)

    async def test_waiting_ends_at_once_where_the_log_goes_on(self, store: EventStore) -> None:
        """Waiting after an earlier position is over before it begins."""
        result = await store.append(a_stream(), lit(2))
        async with asyncio.timeout(_PATIENCE):
            assert await store.wait(after=None, timeout=0)
            assert await store.wait(after=result.recorded[0].position, timeout=0)

    async def test_an_append_wakes_all_who_wait(self, store: EventStore) -> None:
        """Everybody who waits is woken by the next append."""
        last = (await store.append(a_stream(), lit())).position
        waiting = [asyncio.create_task(store.wait(after=last, timeout=60)) for _ in range(5)]
        await asyncio.sleep(0.02)
        assert not any(task.done() for task in waiting)
        await store.append(a_stream(), lit())
        async with asyncio.timeout(_PATIENCE):
            assert await asyncio.gather(*waiting) == [True] * 5

    async def test_waiting_ends_after_its_timeout(self, store: EventStore) -> None:
        """Without an append, waiting says False after its timeout, also on an empty log."""
        async with asyncio.timeout(_PATIENCE):
            assert not await store.wait(after=None, timeout=0.01)
            last = (await store.append(a_stream(), lit())).position
            assert not await store.wait(after=last, timeout=0)
            assert not await store.wait(after=last, timeout=0.02)

    async def test_waiting_may_be_cancelled(self, store: EventStore) -> None:
        """A cancelled wait leaves the others and the store as they were."""
        waiting = [asyncio.create_task(store.wait(after=None)) for _ in range(2)]
        await asyncio.sleep(0.01)
        waiting[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]
        await store.append(a_stream(), lit())
        async with asyncio.timeout(_PATIENCE):
            assert await waiting[1]

    async def test_readers_who_follow_miss_and_repeat_nothing(self, store: EventStore) -> None:
        """Readers who follow the log while others write see every event once, in order."""
        async with asyncio.timeout(3 * _PATIENCE):
            followed, _ = await asyncio.gather(
                asyncio.gather(*(_follow(store, until=240) for _ in range(3))),
                asyncio.gather(*(_write(store, times=10) for _ in range(8))),
            )
        log = await log_of(store)
        assert len(log) == 240
        assert all(seen == log for seen in followed)


async def _write(store: EventStore, times: int) -> None:
    stream = a_stream()
    for done in range(times):
        await store.append(stream, lit(3), expected=3 * done)


async def _follow(store: EventStore, until: int) -> list[RecordedEvent]:
    seen: list[RecordedEvent] = []
    after: Position | None = None
    while len(seen) < until:
        await store.wait(after=after)
        await asyncio.sleep(0)  # a store that never suspends must not keep the timeout from coming
        async for recorded in store.read_all(after=after):
            seen.append(recorded)
            after = recorded.position
    return seen
