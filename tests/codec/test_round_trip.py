"""What is written is read back as it was, whichever way the codec reads it."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dashtam_events.codec import EncodedEvent, EventCodec, Limits
from dashtam_events.errors import CodecError
from dashtam_events.event import DomainEvent, event
from dashtam_events.recorded import EventMetadata, UnknownEvent
from dashtam_events.registry import EventRegistry
from tests.codec.samples import (
    ID,
    REGISTRY,
    WHEN,
    EverythingHappened,
    Line,
    NothingPersonalHappened,
    TransferBooked,
    any_event,
    everything,
    exactly,
    kinds,
    money_codec,
    nothing_personal,
    of,
    outcome,
    same,
    texts,
    transfer,
    transfers,
    wide,
)

CODEC = money_codec()
SLOWLY = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=40)


@event
class Scheduled(DomainEvent):
    at: datetime
    later: datetime | None = None
    dates: tuple[datetime, ...] = ()


@event
class Named(DomainEvent):
    at: Mapping[str, datetime]


zoned = st.builds(
    datetime.replace,
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.timezones())  # noqa: DTZ001  # given a timezone by the strategy
    | st.datetimes(
        datetime(2025, 10, 26, 0, 30),  # noqa: DTZ001  # around the hour that autumn repeats
        datetime(2025, 10, 26, 4),  # noqa: DTZ001  # given a timezone by the strategy
        timezones=st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/London")]),
    ),
    fold=st.sampled_from([0, 1]),
)


@given(zoned, zoned)
@SLOWLY
def test_a_datetime_in_a_zone_comes_back_equal_in_the_hour_that_autumn_repeats_too(
    one: datetime, other: datetime
) -> None:
    codec = EventCodec(EventRegistry([Scheduled, Named]))
    for happened in (
        Scheduled(at=one, later=other, dates=(other, one)),
        Named(at={"one": one, "other": other}),
    ):
        assert codec.decode(codec.encode(happened)) == happened
    assert codec._plan(Scheduled).read is not None


@given(any_event)
@SLOWLY
def test_an_event_comes_back_as_it_was(happened: DomainEvent) -> None:
    assert same(CODEC.decode(CODEC.encode(happened)), happened)


@given(any_event)
@SLOWLY
def test_the_exact_reading_gives_the_same_event(happened: DomainEvent) -> None:
    assert same(exactly(CODEC, CODEC.encode(happened)), happened)


@given(any_event)
@SLOWLY
def test_what_is_read_is_written_as_the_same_bytes(happened: DomainEvent) -> None:
    encoded = CODEC.encode(happened)
    assert CODEC.encode(CODEC.decode(encoded)) == encoded


@given(st.fixed_dictionaries(kinds))
@SLOWLY
def test_a_personal_field_changes_nothing_in_how_the_others_are_written(
    fields: dict[str, Any],
) -> None:
    personal = CODEC.encode(EverythingHappened(**fields)).data
    data = CODEC.encode(NothingPersonalHappened(**fields)).data
    assert personal == data[:-1] + b',"alias":null}'


def mutated(data: bytes, seed: int) -> bytes:
    """The document with one thing about it changed, still JSON for the most part."""
    chance = random.Random(seed)
    raw = msgspec.json.decode(data)
    key = chance.choice(list(raw))
    other = chance.choice(list(raw.values()))
    strange = [None, True, 0, 1, -1, 1.0, 2**53, 1e300, "", "1", "a", [], {}, [1], other]
    strange += ["NaN", "12:00", "2026-01-02T03:04:05", "2026-01-02T03:04:05+01:00"]
    change = chance.randrange(4)
    if change == 0:
        del raw[key]
    elif change == 1:
        raw[key] = chance.choice(strange)
    elif change == 2:
        raw["unheard_of"] = other
    else:
        at = chance.randrange(len(data))
        return data[:at] + bytes([chance.choice(b'{}[],:"0 1e.-\\uT')]) + data[at + 1 :]
    return msgspec.json.encode(raw)


@given(transfers | everything | nothing_personal, st.integers(0, 2**32))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
def test_both_readings_agree_on_documents_that_went_wrong(happened: DomainEvent, seed: int) -> None:
    codec = EventCodec(REGISTRY)
    changed = replace(codec.encode(happened), data=mutated(codec.encode(happened).data, seed))
    assert outcome(lambda: codec.decode(changed)) == outcome(lambda: exactly(codec, changed))


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@SLOWLY
def test_arbitrary_bytes_give_an_error_of_the_codec(data: bytes) -> None:
    for name in ("TransferBooked", "EverythingHappened", "MappingsKept", "Unheard"):
        with pytest.raises(CodecError):
            CODEC.decode(EncodedEvent(name=name, version=1, data=data, subject=None))
    with pytest.raises(CodecError):
        CODEC.decode_metadata(data + b"!")


def test_native_classes_are_read_the_fast_way() -> None:
    codec = EventCodec(REGISTRY)
    for cls in (TransferBooked, EverythingHappened):
        assert codec._plan(cls).read is not None


def test_the_written_form_of_an_event_is_this_one() -> None:
    assert EventCodec(REGISTRY).encode(transfer()) == EncodedEvent(
        name="TransferBooked",
        version=1,
        data=(
            b'{"event_id":"01890a5d-ac96-774b-bcce-b302099a8057",'
            b'"occurred_at":"2026-01-02T03:04:05.678901Z",'
            b'"user_id":"01890a5d-ac96-774b-bcce-b302099a8057","currency":"EUR",'
            b'"amount":"1.10","booked_at":"2026-01-02T03:04:05.678901Z","memo":"rent"}'
        ),
        subject="01890a5d-ac96-774b-bcce-b302099a8057",
    )


def test_secrets_are_not_written_at_any_depth() -> None:
    happened = wide(token="s3cr3t", line=Line(total=Decimal(1), pin="s3cr3t"))
    encoded = CODEC.encode(happened)
    assert b"s3cr3t" not in encoded.data
    assert b"token" not in encoded.data
    assert b"pin" not in encoded.data
    read = CODEC.decode(encoded)
    assert isinstance(read, EverythingHappened)
    assert read.token is None
    assert read.line.pin is None


def test_a_stored_secret_is_kept_out_like_an_unknown_field() -> None:
    codec = EventCodec(REGISTRY)
    data = codec.encode(wide()).data[:-1] + b',"token":"s3cr3t"}'
    read = codec.decode(of(EverythingHappened, data))
    assert read == wide()
    assert getattr(read, "token") is None  # noqa: B009  # the field of the subclass
    assert codec.unknown_fields == {("EverythingHappened", "token"): 1}


def test_the_repr_of_an_encoded_event_does_not_show_the_bytes() -> None:
    assert "rent" not in repr(CODEC.encode(transfer()))


def test_an_offset_with_seconds_keeps_its_instant() -> None:
    zone = timezone(timedelta(hours=1, seconds=5))
    read = CODEC.decode(CODEC.encode(transfer(booked_at=WHEN.astimezone(zone))))
    assert read == transfer()


def test_subclasses_of_native_types_are_written_as_what_they_extend() -> None:
    class Code(StrEnum):
        EURO = "EUR"

    class DriverUUID(UUID):
        pass

    class FakeTime(datetime):
        pass

    class Cents(Decimal):
        pass

    fake = FakeTime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    strange = transfer(
        currency=Code.EURO, user_id=DriverUUID(int=ID.int), booked_at=fake, amount=Cents("1.10")
    )
    encoded = CODEC.encode(strange)
    assert encoded == CODEC.encode(transfer())
    assert type(getattr(CODEC.decode(encoded), "currency")) is str  # noqa: B009


def test_an_integer_may_stand_for_a_number() -> None:
    data = CODEC.encode(wide(number=2.0)).data.replace(b"2.0", b"2")
    assert CODEC.decode(of(EverythingHappened, data)) == wide(number=2.0)
    assert CODEC.encode(wide(number=2)) == CODEC.encode(wide(number=2.0))


def test_sets_are_written_in_one_order() -> None:
    tags = [f"tag{number}" for number in range(50)]
    forward = CODEC.encode(wide(tags=frozenset(tags)))
    assert forward == CODEC.encode(wide(tags=frozenset(reversed(tags))))
    assert b'"tag0","tag1","tag10"' in forward.data


def test_an_event_without_a_subject_has_none() -> None:
    assert CODEC.encode(wide()).subject is None


class Shouted(str):
    """Text that prints as something else."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


def test_a_subject_of_text_is_that_text() -> None:
    @event(subject="email_hash")
    class LoginFailed(DomainEvent):
        email_hash: str | None

    codec = EventCodec(EventRegistry([LoginFailed]))
    assert codec.encode(LoginFailed(email_hash="abc")).subject == "abc"
    assert codec.encode(LoginFailed(email_hash=Shouted("abc"))).subject == "abc"
    assert codec.encode(LoginFailed(email_hash=None)).subject is None


def test_an_unknown_event_is_carried_without_loss() -> None:
    encoded = CODEC.encode(transfer())
    stranger = EventCodec(EventRegistry())
    read = stranger.decode(encoded)
    assert isinstance(read, UnknownEvent)
    assert (read.event_id, read.occurred_at) == (ID, WHEN)
    assert stranger.encode(read) == encoded
    assert CODEC.decode(stranger.encode(read)) == transfer()


def test_an_unknown_event_needs_an_identity() -> None:
    stranger = EventCodec(EventRegistry())
    with pytest.raises(CodecError, match=r"Unheard\.occurred_at: expected an instant"):
        stranger.decode(
            EncodedEvent(name="Unheard", version=3, data=b'{"event_id":"%s"}' % str(ID).encode())
        )


metadata = st.builds(
    EventMetadata,
    correlation_id=st.none() | texts,
    causation_id=st.none() | st.uuids(),
    actor=st.none() | texts,
    ip_address=st.none() | texts,
    extras=st.dictionaries(texts, texts, max_size=3),
)


@given(metadata)
@SLOWLY
def test_metadata_comes_back_as_it_was(given_metadata: EventMetadata) -> None:
    data = CODEC.encode_metadata(given_metadata)
    assert CODEC.decode_metadata(data) == given_metadata


def test_metadata_is_written_canonically_and_nothing_for_none() -> None:
    assert CODEC.encode_metadata(EventMetadata()) is None
    one = EventMetadata(trace_id="t", actor="a", extras={"b": "1", "a": "2"})
    other = EventMetadata(extras={"a": "2", "b": "1"}, actor="a", trace_id="t")
    assert CODEC.encode_metadata(one) == CODEC.encode_metadata(other)
    assert CODEC.encode_metadata(one) == b'{"actor":"a","extras":{"a":"2","b":"1"},"trace_id":"t"}'


def test_metadata_is_refused_both_ways_like_an_event() -> None:
    with pytest.raises(CodecError, match=r"EventMetadata\.actor: expected text"):
        CODEC.encode_metadata(EventMetadata(actor="\0"))
    with pytest.raises(CodecError, match=r"EventMetadata\.actor: expected text"):
        CODEC.decode_metadata(b'{"actor":1}')
    with pytest.raises(CodecError, match="size in bytes"):
        EventCodec(REGISTRY, limits=Limits(max_bytes=10)).encode_metadata(
            EventMetadata(actor="longer than that")
        )
