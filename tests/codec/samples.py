"""Events of every kind of field, and strategies that fill them."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import attrs
from hypothesis import strategies as st

from dashtam_events._frozen import FrozenDict
from dashtam_events.codec import EncodedEvent, EventCodec, make_converter
from dashtam_events.errors import CodecError
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal, secret
from dashtam_events.registry import EventRegistry

Iban = NewType("Iban", str)
MAX = 2**53 - 1


class Side(Enum):
    BUY = "buy"
    SELL = "sell"


class Grade(IntEnum):
    LOW = 1
    HIGH = 2


@attrs.frozen(kw_only=True)
class Line:
    """A value nested in an event, with a secret of its own."""

    total: Decimal
    memo: str | None = personal(default=None)
    pin: str | None = secret(default=None)


@attrs.frozen
class Tree:
    """A value that may hold others like itself."""

    name: str
    below: "tuple[Tree, ...]" = ()


@event(subject="user_id", category="accounts")
class TransferBooked(DomainEvent):
    """Native fields only: the codec reads it the fast way."""

    user_id: UUID
    currency: str
    amount: Decimal
    booked_at: datetime
    memo: str


@event
class NothingPersonalHappened(DomainEvent):
    """A field of each type that the fast way knows, none of them personal."""

    text: str
    whole: int
    number: float
    flag: bool
    nothing: None
    uid: UUID
    amount: Decimal
    at: datetime
    day: date
    side: Side
    grade: Grade
    choice: Literal["a", 1]
    maybe: Decimal | None
    iban: Iban
    noted: Annotated[int, "a note"]
    line: Line
    lines: tuple[Line, ...]
    pair: tuple[int, str]
    tags: frozenset[str]
    days: frozenset[date]


@event
class EverythingHappened(NothingPersonalHappened):
    """The same, with a personal field and a secret one."""

    alias: str | None = personal(default=None)
    token: str | None = secret(default=None)


@event
class MappingsKept(DomainEvent):
    """Fields that need a converter, so that the codec reads it the exact way."""

    rates: Mapping[str, Decimal]
    lines: Mapping[str, Line] | None = None


@event
class TreeGrown(DomainEvent):
    """A value nested in itself."""

    tree: Tree


@attrs.frozen
class Money:
    """A type that only a user's hooks know."""

    amount: Decimal
    currency: str


@event
class Paid(DomainEvent):
    """Fields that need a user's hooks, at the top and further in."""

    price: Money
    parts: tuple[Money | None, ...] = ()


def money_from(raw: Any, _: Any) -> Money:
    amount, currency = raw.split(" ")
    return Money(Decimal(amount), currency)


def money_codec() -> EventCodec:
    converter = make_converter()
    converter.register_unstructure_hook(Money, lambda money: f"{money.amount} {money.currency}")
    converter.register_structure_hook(Money, money_from)
    return EventCodec(REGISTRY, converter=converter)


REGISTRY = EventRegistry(
    [TransferBooked, NothingPersonalHappened, EverythingHappened, MappingsKept, TreeGrown, Paid]
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
wholes = st.integers(-MAX, MAX)
numbers = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.decimals(allow_nan=False, allow_infinity=False)
offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
instants = st.datetimes(
    datetime(1, 1, 3),  # noqa: DTZ001  # given a timezone by the strategy
    datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=st.just(UTC) | offsets | st.timezones(),
    allow_imaginary=False,
)
lines = st.builds(Line, total=decimals, memo=st.none() | texts)
trees = st.recursive(
    st.builds(Tree, texts),
    lambda inner: st.builds(Tree, texts, st.lists(inner, max_size=3).map(tuple)),
    max_leaves=8,
)
identity = {"event_id": st.uuids(), "occurred_at": instants}

transfers = st.builds(
    TransferBooked,
    **identity,
    user_id=st.uuids(),
    currency=texts,
    amount=decimals,
    booked_at=instants,
    memo=texts,
)
kinds: dict[str, st.SearchStrategy[Any]] = {
    **identity,
    "text": texts,
    "whole": wholes,
    "number": numbers,
    "flag": st.booleans(),
    "nothing": st.none(),
    "uid": st.uuids(),
    "amount": decimals,
    "at": instants,
    "day": st.dates(),
    "side": st.sampled_from(Side),
    "grade": st.sampled_from(Grade),
    "choice": st.sampled_from(["a", 1]),
    "maybe": st.none() | decimals,
    "iban": texts,
    "noted": wholes,
    "line": lines,
    "lines": st.lists(lines, max_size=3).map(tuple),
    "pair": st.tuples(wholes, texts),
    "tags": st.frozensets(texts, max_size=4),
    "days": st.frozensets(st.dates(), max_size=4),
}
everything = st.builds(
    EverythingHappened, **kinds, alias=st.none() | texts, token=st.none() | texts
)
nothing_personal = st.builds(NothingPersonalHappened, **kinds)
mappings = st.builds(
    MappingsKept,
    **identity,
    rates=st.dictionaries(texts, decimals, max_size=4),
    lines=st.none() | st.dictionaries(texts, lines, max_size=3),
)
grown = st.builds(TreeGrown, **identity, tree=trees)
paid = st.builds(
    Paid,
    **identity,
    price=st.builds(Money, decimals, st.sampled_from(["EUR", "USD"])),
    parts=st.lists(st.none() | st.builds(Money, decimals, st.just("CHF")), max_size=3).map(tuple),
)
any_event = transfers | everything | nothing_personal | mappings | grown | paid

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def transfer(**changed: Any) -> TransferBooked:
    given: dict[str, Any] = {
        "event_id": ID,
        "occurred_at": WHEN,
        "user_id": ID,
        "currency": "EUR",
        "amount": Decimal("1.10"),
        "booked_at": WHEN,
        "memo": "rent",
    }
    return TransferBooked(**(given | changed))


def wide(
    cls: type[NothingPersonalHappened] = EverythingHappened, **changed: Any
) -> NothingPersonalHappened:
    given: dict[str, Any] = {
        "event_id": ID,
        "occurred_at": WHEN,
        "text": "t",
        "whole": 1,
        "number": 1.5,
        "flag": True,
        "nothing": None,
        "uid": ID,
        "amount": Decimal("1E+5"),
        "at": WHEN,
        "day": date(2026, 1, 2),
        "side": Side.BUY,
        "grade": Grade.HIGH,
        "choice": 1,
        "maybe": None,
        "iban": Iban("DE00"),
        "noted": 2,
        "line": Line(total=Decimal(1)),
        "lines": (Line(total=Decimal(2)), Line(total=Decimal(3))),
        "pair": (1, "x"),
        "tags": frozenset({"b", "a"}),
        "days": frozenset({date(2026, 1, 1)}),
    }
    return cls(**(given | changed))


def of(cls: type[DomainEvent], data: bytes, version: int = 1) -> EncodedEvent:
    return EncodedEvent(name=cls.__name__, version=version, data=data, subject=None)


def same(left: DomainEvent, right: DomainEvent) -> bool:
    """Equal to the last digit and zero, where `==` holds 1.1 and 1.10, 0.0 and -0.0 for equal."""
    return left == right and _exact(left) == _exact(right)


def _exact(value: Any) -> Any:
    if attrs.has(type(value)):
        kept = [f.name for f in attrs.fields(type(value)) if f.eq]
        return [(name, _exact(getattr(value, name))) for name in kept]
    if isinstance(value, tuple):
        return [_exact(item) for item in value]
    if isinstance(value, (frozenset,)):
        return sorted(map(_exact, value))
    if isinstance(value, FrozenDict):
        return [(key, _exact(item)) for key, item in value.items()]
    if isinstance(value, datetime):
        return value.timestamp()
    return repr(value)


def exactly(codec: EventCodec, encoded: EncodedEvent) -> DomainEvent:
    """What the exact reading alone gives."""
    cls = codec.registry.get(encoded.name)
    assert cls is not None
    plan = codec._plan(cls)
    return codec._exactly(encoded.name, lambda: codec._read(plan, encoded.version, encoded.data))


def outcome(read: Any) -> Any:
    try:
        return read()
    except CodecError as error:
        return type(error), error.args
