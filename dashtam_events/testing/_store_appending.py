"""The first half of the stores' contract: what is promised to those who append."""

import asyncio
from typing import Any

import pytest

from dashtam_events.errors import DuplicateEvent, EncodingError, InvalidEventClass, VersionConflict
from dashtam_events.event import DomainEvent, event
from dashtam_events.recorded import EventMetadata
from dashtam_events.store.protocol import (
    ANY,
    EXISTS,
    NO_STREAM,
    Append,
    AppendResult,
    EventStore,
    Expected,
)
from dashtam_events.testing._store_samples import (
    KeyHandedOver,
    LampLit,
    LampPutOut,
    a_stream,
    lit,
    log_of,
    stream_of,
)

__all__ = ["AppendingContract"]


@event
class LampStolen(DomainEvent):
    """A lamp was stolen; in no registry."""


async def _conflict(store: EventStore, stream: Any, expected: int | Expected) -> VersionConflict:
    with pytest.raises(VersionConflict) as raised:
        await store.append(stream, lit(), expected=expected)
    return raised.value


class AppendingContract:
    """Order, atomicity, expectations, idempotence, attachments, concurrency, cancellation."""

    async def test_versions_count_the_events_of_a_stream(self, store: EventStore) -> None:
        """Versions count the events of a stream from 1, without holes."""
        stream, other = a_stream(), a_stream()
        await store.append(stream, lit(2))
        await store.append(other, lit(3))
        result = await store.append(stream, lit(2))
        assert [recorded.version for recorded in result.recorded] == [3, 4]
        assert (result.version, result.stream) == (4, stream)
        assert [recorded.version for recorded in await stream_of(store, stream)] == [1, 2, 3, 4]

    async def test_a_result_is_what_a_reader_sees(self, store: EventStore) -> None:
        """The result of an append equals what is read back, and says its position."""
        stream = a_stream()
        result = await store.append(stream, lit(3), metadata={"correlation_id": "one"})
        assert list(result.recorded) == await stream_of(store, stream)
        assert result.position == result.recorded[-1].position

    async def test_events_of_one_append_share_their_instant(self, store: EventStore) -> None:
        """All events of one append are recorded at the same instant."""
        result = await store.append(a_stream(), lit(3))
        assert len({recorded.recorded_at for recorded in result.recorded}) == 1

    async def test_metadata_comes_back(self, store: EventStore) -> None:
        """Metadata comes back as it was given; without any, there is none."""
        stream = a_stream()
        given = EventMetadata(correlation_id="one", actor="somebody", extras={"tenant": "north"})
        await store.append(stream, lit(), metadata=given)
        await store.append(stream, lit())
        assert [recorded.metadata for recorded in await stream_of(store, stream)] == [
            given,
            EventMetadata(),
        ]

    async def test_secrets_are_not_stored(self, store: EventStore) -> None:
        """A secret is gone when the event is read back."""
        stream = a_stream()
        await store.append(stream, [KeyHandedOver(door="north", password="canary")])  # noqa: S106  # the secret that must vanish
        (recorded,) = await stream_of(store, stream)
        assert isinstance(recorded.event, KeyHandedOver)
        assert (recorded.event.door, recorded.event.password) == ("north", None)

    async def test_nothing_is_no_append(self, store: EventStore) -> None:
        """An append without events is refused; no appends at all are none."""
        with pytest.raises(ValueError, match="nothing to append"):
            await store.append(a_stream(), [])
        assert await store.append_many([]) == ()

    @pytest.mark.parametrize("stream", ["lamp-1", "lamp", None])
    async def test_a_stream_is_a_stream_id(self, store: EventStore, stream: Any) -> None:
        """Text in place of a `StreamId` is refused by whatever takes a stream."""
        with pytest.raises(TypeError, match="StreamId"):
            await store.append(stream, lit())
        with pytest.raises(TypeError, match="StreamId"):
            await stream_of(store, stream)
        with pytest.raises(TypeError, match="StreamId"):
            await store.read_attachment(stream, "note")
        assert await log_of(store) == []

    @pytest.mark.parametrize("expected", ["0", "any", None, True, 1.0])
    async def test_an_expectation_is_a_number_or_one_of_three(
        self, store: EventStore, expected: Any
    ) -> None:
        """What is no version and none of `NO_STREAM`, `EXISTS` and `ANY` is refused."""
        with pytest.raises(TypeError, match="NO_STREAM, EXISTS or ANY"):
            await store.append(a_stream(), lit(), expected=expected)
        with pytest.raises(ValueError, match="from 0"):
            await store.append(a_stream(), lit(), expected=-1)
        assert await log_of(store) == []

    @pytest.mark.parametrize("there", [0, 2])
    @pytest.mark.parametrize("expected", [0, 1, 2, 3, NO_STREAM, EXISTS, ANY])
    async def test_an_append_is_refused_unless_the_stream_is_as_expected(
        self, store: EventStore, there: int, expected: int | Expected
    ) -> None:
        """An append succeeds exactly where its stream is at the expected version."""
        stream = a_stream()
        if there:
            await store.append(stream, lit(there))
        fits = {NO_STREAM: there == 0, EXISTS: there > 0, ANY: True}
        if fits[expected] if isinstance(expected, Expected) else expected == there:
            result = await store.append(stream, lit(), expected=expected)
            assert result.version == there + 1
        else:
            conflict = await _conflict(store, stream, expected)
            assert (conflict.stream, conflict.actual) == (str(stream), there)
            assert conflict.expected == expected
            assert len(await stream_of(store, stream)) == there

    async def test_a_stale_append_writes_nothing(self, store: EventStore) -> None:
        """A refused append leaves no event, no attachment and no position behind."""
        stream = a_stream()
        await store.append(stream, lit())
        last, events = await store.last_position(), lit(2)
        with pytest.raises(VersionConflict):
            await store.append(stream, events, expected=0, attachments={"note": b"lost"})
        assert await store.last_position() == last
        assert await store.position_of(events[0].event_id) is None
        assert await store.read_attachment(stream, "note") is None

    async def test_events_that_cannot_be_encoded_are_refused(self, store: EventStore) -> None:
        """An unregistered class, and a value that could not be read back, write nothing."""
        stream = a_stream()
        with pytest.raises(InvalidEventClass):
            await store.append(stream, [*lit(), LampStolen()])
        with pytest.raises(EncodingError):
            await store.append(stream, [*lit(), LampLit(number="one")])  # type: ignore[arg-type]  # the mistake
        assert await stream_of(store, stream) == []

    async def test_several_streams_are_appended_to_at_once(self, store: EventStore) -> None:
        """Appends to several streams give a result each, in their order, and stand together."""
        one, two = a_stream(), a_stream()
        results = await store.append_many(
            [
                Append(stream=one, events=lit(2), expected=0, metadata={"correlation_id": "a"}),
                Append(stream=two, events=lit(1), expected=NO_STREAM),
            ]
        )
        assert [(result.stream, result.version) for result in results] == [(one, 2), (two, 1)]
        assert [recorded for result in results for recorded in result.recorded] == (
            await log_of(store)
        )

    async def test_several_streams_are_written_whole_or_not_at_all(self, store: EventStore) -> None:
        """Where one append of several is refused, none of them is written."""
        one, two = a_stream(), a_stream()
        await store.append(two, lit())
        first = Append(stream=one, events=lit(2), expected=0, attachments={"note": b"lost"})
        with pytest.raises(VersionConflict) as raised:
            await store.append_many([first, Append(stream=two, events=lit(), expected=0)])
        assert raised.value.stream == str(two)
        assert await stream_of(store, one) == []
        assert await store.read_attachment(one, "note") is None
        assert len(await log_of(store)) == 1

    async def test_appends_of_one_call_see_each_other(self, store: EventStore) -> None:
        """A later append of the same call expects the stream as the earlier one leaves it."""
        stream = a_stream()
        first = Append(stream=stream, events=lit(2), expected=NO_STREAM)
        with pytest.raises(VersionConflict) as raised:
            await store.append_many([first, Append(stream=stream, events=lit(), expected=0)])
        assert raised.value.actual == 2
        results = await store.append_many([first, Append(stream=stream, events=lit(), expected=2)])
        assert [result.version for result in results] == [2, 3]

    async def test_the_same_append_again_gives_the_first_result(self, store: EventStore) -> None:
        """The same events again give the first result, whatever the stream came to since."""
        stream, events = a_stream(), lit(2)
        first = await store.append(stream, events, expected=0, metadata={"actor": "somebody"})
        await store.append(stream, lit())
        again = await store.append(stream, events, expected=0)
        assert again == first
        assert len(await log_of(store)) == 3

    async def test_a_repeated_append_rewrites_no_attachment(self, store: EventStore) -> None:
        """What was attached since stays, when an earlier append comes again."""
        stream, events = a_stream(), lit()
        await store.append(stream, events, attachments={"note": b"old"})
        await store.append(stream, lit(), attachments={"note": b"new"})
        await store.append(stream, events, attachments={"note": b"old"})
        kept = await store.read_attachment(stream, "note")
        assert kept is not None
        assert (kept.data, kept.version) == (b"new", 2)

    async def test_the_same_appends_to_several_streams_again(self, store: EventStore) -> None:
        """Several appends at once are idempotent as one."""
        appends = [Append(stream=a_stream(), events=lit(2), expected=0) for _ in range(3)]
        first = await store.append_many(appends)
        assert await store.append_many(appends) == first
        assert len(await log_of(store)) == 6

    async def test_a_known_event_among_new_ones_is_refused(self, store: EventStore) -> None:
        """A known event among new ones is named, and nothing is written."""
        stream, known = a_stream(), lit(2)
        await store.append(stream, known)
        with pytest.raises(DuplicateEvent) as raised:
            await store.append(stream, [*lit(), known[1], known[0]], expected=2)
        assert raised.value.event_id == known[1].event_id
        assert len(await log_of(store)) == 2

    async def test_known_events_that_stand_otherwise_are_refused(self, store: EventStore) -> None:
        """Known events in another order, another stream or with others between are no repeat."""
        stream, known = a_stream(), lit(2)
        await store.append(stream, known[:1])
        await store.append(stream, lit())
        await store.append(stream, known[1:])
        for elsewhere, events in ((stream, known), (a_stream(), known[:1])):
            with pytest.raises(DuplicateEvent) as raised:
                await store.append(elsewhere, events)
            assert raised.value.event_id == known[0].event_id
        await store.append(other := a_stream(), turned := lit(2))
        with pytest.raises(DuplicateEvent):
            await store.append(other, turned[::-1])
        assert len(await log_of(store)) == 5

    async def test_a_known_id_with_another_content_is_refused(self, store: EventStore) -> None:
        """An event with a known id is the same again only with the same type and content."""
        stream, (known,) = a_stream(), lit()
        await store.append(stream, [known])
        identity: Any = {"event_id": known.event_id, "occurred_at": known.occurred_at}
        for other in (LampLit(number=7, **identity), LampPutOut(number=1, **identity)):
            with pytest.raises(DuplicateEvent, match="with other content") as raised:
                await store.append(stream, [other])
            assert raised.value.event_id == known.event_id
        assert [recorded.event for recorded in await stream_of(store, stream)] == [known]

    async def test_one_event_twice_in_a_call_is_refused(self, store: EventStore) -> None:
        """The same event twice in one call is named, and nothing is written."""
        (twin,) = lit()
        with pytest.raises(DuplicateEvent, match="stands twice in this append") as raised:
            await store.append_many([Append(stream=a_stream(), events=[twin]) for _ in range(2)])
        assert raised.value.event_id == twin.event_id
        assert await log_of(store) == []

    async def test_attachments_are_kept_replaced_and_removed(self, store: EventStore) -> None:
        """Bytes replace an attachment, None removes it, and what is left out stays."""
        stream = a_stream()
        assert await store.read_attachment(stream, "note") is None
        await store.append(stream, lit(2), attachments={"note": b"\x00one", "seal": b""})
        await store.append(stream, lit(), attachments={"note": b"two"})
        note = await store.read_attachment(stream, "note")
        seal = await store.read_attachment(stream, "seal")
        assert note is not None
        assert seal is not None
        assert [(note.data, note.version), (seal.data, seal.version)] == [(b"two", 3), (b"", 2)]
        await store.append(stream, lit(), attachments={"note": None})
        removed = await store.read_attachment(stream, "note")
        assert removed is not None
        assert (removed.data, removed.version) == (None, 4)
        assert await store.read_attachment(a_stream(), "seal") is None

    async def test_attachments_are_bytes_under_a_readable_name(self, store: EventStore) -> None:
        """An attachment that is no bytes, or has no readable name, is refused."""
        stream = a_stream()
        with pytest.raises(TypeError, match="must be bytes"):
            await store.append(stream, lit(), attachments={"note": "text"})  # type: ignore[dict-item]  # the mistake
        with pytest.raises(ValueError, match="printable"):
            await store.append(stream, lit(), attachments={"": b""})
        assert await stream_of(store, stream) == []

    async def test_of_many_writers_one_wins_a_version(self, store: EventStore) -> None:
        """Of 32 who append at the same version one wins; the others learn the new version."""
        stream = a_stream()
        for round_ in range(4):
            outcomes = await asyncio.gather(
                *(store.append(stream, lit(), expected=round_) for _ in range(32)),
                return_exceptions=True,
            )
            won = [outcome for outcome in outcomes if isinstance(outcome, AppendResult)]
            lost = [outcome for outcome in outcomes if isinstance(outcome, VersionConflict)]
            assert (len(won), len(lost)) == (1, 31)
            assert {conflict.actual for conflict in lost} == {round_ + 1}
        assert len(await stream_of(store, stream)) == 4

    async def test_a_refused_append_harms_no_other(self, store: EventStore) -> None:
        """Appends that are made together succeed and fail each for itself."""
        stale, known = a_stream(), lit()
        await store.append(stale, known)
        good = [a_stream() for _ in range(10)]
        calls = [store.append(stream, lit(2), expected=0) for stream in good]
        calls[5:5] = [
            store.append(stale, lit(), expected=0),
            store.append(a_stream(), [*lit(), *known]),
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes[5:7]] == [VersionConflict, DuplicateEvent]
        assert all(isinstance(outcome, AppendResult) for outcome in outcomes[:5] + outcomes[7:])
        assert [len(await stream_of(store, stream)) for stream in good] == [2] * 10

    async def test_the_same_append_at_the_same_time_is_stored_once(self, store: EventStore) -> None:
        """Whoever makes the same append at the same time gets the same result."""
        stream, events = a_stream(), lit(3)
        results = await asyncio.gather(
            *(store.append(stream, events, expected=0) for _ in range(8))
        )
        assert all(result == results[0] for result in results)
        assert len(await stream_of(store, stream)) == 3

    async def test_a_cancelled_append_is_whole_or_absent(self, store: EventStore) -> None:
        """Cancelling an append leaves all of it or nothing, and the store usable."""
        for pauses in range(12):
            stream = a_stream()
            together: list[DomainEvent] = [LampLit(number=1), LampPutOut(number=2)]
            task = asyncio.create_task(_appended(store, stream, together))
            for _ in range(pauses):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            # Behind the cancelled one, so that its fate is settled.
            await store.append(a_stream(), lit())
            assert len(await stream_of(store, stream)) in (0, 2)
            again = await store.append(stream, together, expected=0)
            assert again.version == 2


async def _appended(store: EventStore, stream: Any, events: list[DomainEvent]) -> AppendResult:
    return await store.append(stream, events, expected=0)
