"""Events that were written before their class changed are read fast, and as exactly."""

import random
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dashtam_events.codec import EncodedEvent, EventCodec
from dashtam_events.errors import DecodingError
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal, secret
from dashtam_events.registry import EventRegistry
from tests.codec.samples import ID, WHEN, Line, Side, exactly, outcome, same

SLOWLY = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=200)
AUTUMN = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
SUMMER = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))


@event
class Grown(DomainEvent):
    """It had one field once."""

    text: str
    whole: int = 0
    number: float = 0.5
    amount: Decimal | None = None
    side: Side = Side.BUY
    tags: tuple[str, ...] = ()
    at: datetime = WHEN
    later: datetime | None = SUMMER
    zoned: datetime = AUTUMN
    line: Line = Line(total=Decimal(1))
    made: str = attrs.field(factory=lambda: "made")
    known: UUID = ID
    token: str | None = secret(default=None)


@event
class GrownPersonal(Grown):
    """The same, with a personal field."""

    alias: str | None = personal(default="nobody")


REGISTRY = EventRegistry([Grown, GrownPersonal])
CODEC = EventCodec(REGISTRY)
FULL: Any = {
    "text": "t",
    "whole": 3,
    "number": 1.5,
    "amount": Decimal("1.10"),
    "side": Side.SELL,
    "tags": ("a",),
    "at": SUMMER,
    "later": None,
    "zoned": WHEN,
    "line": Line(total=Decimal(2)),
    "made": "by hand",
    "known": uuid4(),
}


def of_keys(encoded: EncodedEvent, keys: list[str]) -> EncodedEvent:
    raw = msgspec.json.decode(encoded.data)
    return replace(encoded, data=msgspec.json.encode({key: raw[key] for key in keys}))


@given(st.sampled_from([Grown, GrownPersonal]), st.integers(0, 2**32))
@SLOWLY
def test_whatever_is_missing_or_moved_both_readings_agree(cls: type[Grown], seed: int) -> None:
    chance = random.Random(seed)
    encoded = CODEC.encode(cls(**FULL))
    keys = list(msgspec.json.decode(encoded.data))
    some = chance.sample(keys, chance.randrange(len(keys) + 1))
    if chance.randrange(2):
        some.sort(key=keys.index)
    if chance.randrange(4):
        some = [*dict.fromkeys(["event_id", "occurred_at", "text", *some])]
    earlier = of_keys(encoded, some)
    fast, exact = outcome(lambda: CODEC.decode(earlier)), outcome(lambda: exactly(CODEC, earlier))
    assert same(fast, exact) if isinstance(fast, DomainEvent) else fast == exact
    assert repr(fast) == repr(exact)


UNLIKE: list[bytes] = [
    *(b"1", b"1.0", b"-0.0", b"1e400", b'"1"', b'" 1 "', b'"1_0"', b'"NaN"', b"true", b"null"),
    *(b"[]", b'["a"]', b'"sell"', b'"\\u0061"', b'"\\ud800"', b'"\xd9\xa1"', b'{"total":1.5}'),
    *(b'{"total":"1.5","more":1}', b'{"total":"1.5","total":"2"}', b'"2026-01-02T03:04:05"'),
    *(b'"2026-01-02 03:04:05Z"', b'"2026-01-02T03:04:05.1234567Z"', b'"2026-01-02T03:04:05Z"'),
    *(b'"%s"' % text.encode() for text in (str(ID), ID.hex, str(ID).upper(), f"urn:uuid:{ID}")),
]


@pytest.mark.parametrize("unlike", UNLIKE)
def test_what_is_written_otherwise_than_the_codec_writes_is_left_to_the_exact_reading(
    unlike: bytes,
) -> None:
    encoded = CODEC.encode(Grown(**FULL))
    raw = msgspec.json.decode(encoded.data)
    keys = ["made", *(key for key in raw if key not in ("made", "known"))]
    for spoiled in keys:
        values = (unlike if key == spoiled else msgspec.json.encode(raw[key]) for key in keys)
        members = (
            b'"%s":%s' % (key.encode(), value) for key, value in zip(keys, values, strict=True)
        )
        earlier = replace(encoded, data=b"{%s}" % b",".join(members))
        exact, codec = outcome(partial(exactly, CODEC, earlier)), EventCodec(REGISTRY)
        for _ in range(2):
            assert repr(outcome(partial(codec.decode, earlier))) == repr(exact)


@pytest.mark.parametrize("cls", [Grown, GrownPersonal])
@pytest.mark.parametrize(
    "keys",
    [
        ["event_id", "occurred_at", "text", "tags", "made", "zoned"],
        ["made", "zoned", "tags", "text", "side", "occurred_at", "event_id"],
    ],
    ids=["fewer", "others first"],
)
def test_fields_that_were_added_or_moved_do_not_slow_reading_down(
    cls: type[Grown], keys: list[str]
) -> None:
    encoded = CODEC.encode(cls(**FULL))
    read = CODEC._plan(cls).read
    assert read is not None
    event = read(of_keys(encoded, keys).data)
    assert isinstance(event, cls)
    assert (event.text, event.whole, event.side is Side.BUY) == ("t", 0, "side" not in keys)
    assert (event.at, event.later, event.line) == (WHEN, SUMMER, Line(total=Decimal(1)))


def test_layouts_by_the_hundred_are_read_and_not_all_remembered() -> None:
    codec = EventCodec(REGISTRY)
    encoded = codec.encode(Grown(**FULL))
    keys = list(msgspec.json.decode(encoded.data))
    for seed in range(300):
        moved = of_keys(encoded, random.Random(seed).sample(keys, len(keys)))
        assert codec.decode(moved) == codec.decode(encoded)
    earlier = codec._named["Grown"].read.__globals__["earlier"]  # type: ignore[union-attr]  # it has one
    assert len(earlier._writers) == 64


def test_a_field_that_the_class_has_no_more_is_counted_as_ever() -> None:
    codec = EventCodec(REGISTRY)
    encoded = codec.encode(Grown(**FULL))
    wider = replace(encoded, data=encoded.data[:-1] + b',"gone":1}')
    assert codec.decode(wider) == codec.decode(encoded)
    assert codec.unknown_fields == {("Grown", "gone"): 1}


raised: dict[str, Any] = {}


@event(version=2, upcasters={1: lambda _raw: dict(raised)})
class Raised(DomainEvent):
    """Its upcaster gives what a test wants."""

    text: str | None = None
    whole: int = 0
    number: float | None = None
    known: UUID | None = None
    at: datetime | None = None
    tags: tuple[str, ...] = ()


RAISED = EventCodec(EventRegistry([Raised]))
STRANGE: list[Any] = [
    *(None, True, 0, 2**53, -(2**53), 2**70, 1.5, float("nan"), "", "\0", "\ud800", "\\", "x" * 9),
    *(ID, str(ID), str(ID).upper(), WHEN, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
    *([], ["a"], ("a",), {}, [1], Decimal(1), "1", b"1", datetime(2026, 1, 1, tzinfo=UTC)),
]
KEYS = ["event_id", "occurred_at", "text", "whole", "number", "known", "at", "tags", "gone", 1]


@given(
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(STRANGE), max_size=6),
    st.booleans(),
)
@SLOWLY
def test_whatever_an_upcaster_gives_is_read_as_the_exact_reading_does(
    given: dict[Any, Any], known: bool
) -> None:
    raised.clear()
    raised.update(given)
    if known:
        raised.update(event_id=str(ID), occurred_at="2026-01-02T03:04:05Z")
    stored = EncodedEvent(name="Raised", version=1, data=b"{}")
    fast = outcome(lambda: RAISED.decode(stored))
    plan = RAISED._plan(Raised)
    slow = attrs.evolve(plan, read=None)
    exact = outcome(lambda: RAISED._exactly("Raised", lambda: RAISED._read(slow, 1, b"{}")))
    assert same(fast, exact) if isinstance(fast, DomainEvent) else fast == exact


def test_what_an_upcaster_gives_is_read_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = EventCodec(EventRegistry([Raised]))
    plan = codec._plan(Raised)

    def never(_raw: Any) -> Any:
        raise DecodingError("Raised", "", "the fast reading")

    slow = attrs.evolve(plan, form=attrs.evolve(plan.form, decode=never))
    monkeypatch.setitem(codec._named, "Raised", slow)
    raised.clear()
    raised.update(whole=3, text="t", event_id=str(ID), occurred_at="2026-01-02T03:04:05Z")
    event = codec.decode(EncodedEvent(name="Raised", version=1, data=b"{}"))
    assert isinstance(event, Raised)
    assert (event.whole, event.text, event.event_id) == (3, "t", ID)
