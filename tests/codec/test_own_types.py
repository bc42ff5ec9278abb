"""Types that only a service's own hooks know, and those that nobody knows."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, Flag
from pathlib import Path
from typing import Any, Literal, NewType

import attrs
import cattrs
import msgspec
import pytest
from msgspec.structs import replace

from dashtam_events.codec import EventCodec, make_converter
from dashtam_events.errors import DecodingError, EncodingError, InvalidEventClass
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import secret
from dashtam_events.registry import EventRegistry
from dashtam_events.store import InMemoryEventStore
from tests.codec.samples import REGISTRY, Money, Paid, money_codec, of, transfer


def codec_of(cls: type[DomainEvent], converter: cattrs.Converter | None = None) -> EventCodec:
    return EventCodec(EventRegistry([cls]), converter=converter)


def test_a_hook_counts_at_every_depth() -> None:
    happened = Paid(price=Money(Decimal("1.10"), "EUR"), parts=(None, Money(Decimal(2), "USD")))
    encoded = money_codec().encode(happened)
    assert b'"price":"1.10 EUR","parts":[null,"2 USD"]' in encoded.data
    assert money_codec().decode(encoded) == happened


def test_a_hook_overrides_a_type_that_the_codec_knows() -> None:
    converter = make_converter()
    converter.register_unstructure_hook(Decimal, lambda value: {"cents": int(value * 100)})
    converter.register_structure_hook(Decimal, lambda raw, _: Decimal(raw["cents"]) / 100)
    codec = EventCodec(REGISTRY, converter=converter)
    encoded = codec.encode(transfer())
    assert b'"amount":{"cents":110}' in encoded.data
    assert codec.decode(encoded) == transfer()


Big = NewType("Big", int)


@event
class Counted(DomainEvent):
    total: Big
    either: int | str = 0


def test_hooks_for_new_types_and_unions_are_found() -> None:
    converter = make_converter()
    converter.register_unstructure_hook(Big, str)
    converter.register_structure_hook(Big, lambda raw, _: Big(int(raw)))
    converter.register_unstructure_hook(int | str, lambda value: [value])
    converter.register_structure_hook(int | str, lambda raw, _: raw[0])
    codec = codec_of(Counted, converter)
    happened = Counted(total=Big(2**70), either="x")
    assert codec.decode(codec.encode(happened)) == happened


def test_a_hook_may_build_on_the_converter_which_coerces_nothing() -> None:
    converter = make_converter()
    converter.register_unstructure_hook(
        Money, lambda money: [converter.unstructure(money.amount), money.currency]
    )
    converter.register_structure_hook(
        Money, lambda raw, _: Money(converter.structure(raw[0], Decimal), raw[1])
    )
    codec = codec_of(Paid, converter)
    happened = Paid(price=Money(Decimal("1.10"), "EUR"))
    encoded = codec.encode(happened)
    assert codec.decode(encoded) == happened
    with pytest.raises(DecodingError, match=r"Paid\.price: expected a finite decimal"):
        codec.decode(replace(encoded, data=encoded.data.replace(b'"1.10"', b"1.10")))


@pytest.mark.parametrize(
    ("raw", "kind"),
    [("12", int), (True, int), (1.9, int), (None, str), (1, bool), (1, str), (b"x", str)],
)
def test_the_converter_by_itself_coerces_nothing(raw: Any, kind: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        make_converter().structure(raw, kind)


def test_the_converter_by_itself_writes_and_reads_attrs_classes() -> None:
    converter = make_converter()
    money = Money(Decimal("1.10"), "EUR")
    written = msgspec.json.decode(msgspec.json.encode(converter.unstructure(money)))
    assert converter.structure(written, Money) == money
    assert converter.structure({"amount": "1", "currency": "E", "more": 1}, Money).currency == "E"


@pytest.mark.parametrize(
    "written",
    [
        float("nan"),
        {1: "x"},
        {"a": object()},
        ["a\0"],
        2**53,
        {"a"},
    ],
)
def test_what_a_hook_gives_must_be_json_that_can_be_read_back(written: Any) -> None:
    converter = make_converter()
    converter.register_unstructure_hook(Money, lambda _: written)
    converter.register_structure_hook(Money, lambda raw, _: raw)
    with pytest.raises(EncodingError) as caught:
        codec_of(Paid, converter).encode(Paid(price=Money(Decimal(1), "EUR")))
    assert caught.value.path == ".price"


def test_what_a_hook_gives_may_be_nested_json() -> None:
    converter = make_converter()
    written = {"when": datetime(2026, 1, 1, tzinfo=UTC), "list": [1, (2.5, None)]}
    converter.register_unstructure_hook(Money, lambda _: written)
    converter.register_structure_hook(Money, lambda raw, _: Money(raw["list"][1][0], raw["when"]))
    codec = codec_of(Paid, converter)
    read = codec.decode(codec.encode(Paid(price=Money(Decimal(1), "EUR"))))
    assert read.price == Money(2.5, "2026-01-01T00:00:00Z")  # type: ignore[attr-defined, arg-type]  # the subclass's; as the hook gives


def test_an_exception_of_a_hook_stays_in_the_room() -> None:
    codec = money_codec()
    with pytest.raises(EncodingError, match=r"Paid\.price: expected a Money") as caught:
        codec.encode(Paid(price="CANARY"))  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.__context__ is None
    data = codec.encode(Paid(price=Money(Decimal(1), "EUR"))).data
    with pytest.raises(DecodingError, match=r"Paid\.price: expected a Money") as refused:
        codec.decode(of(Paid, data.replace(b"1 EUR", b"CANARY")))
    assert refused.value.__context__ is None


def test_a_converter_that_may_coerce_is_refused() -> None:
    with pytest.raises(TypeError, match="make_converter"):
        EventCodec(REGISTRY, converter=cattrs.Converter())


class Permission(Flag):
    READ = 1


class Shape(Enum):
    POINT = (0, 0)


class Size(Enum):
    HUGE = 2**60


UNKEPT = (Size, Literal["\0"], Literal[9007199254740992])


@pytest.mark.parametrize(
    "kind", [Any, object, bytes, Path, Permission, Shape, int | str, complex, *UNKEPT]
)
def test_a_type_that_nobody_knows_is_named_with_its_field(kind: Any) -> None:
    @attrs.frozen
    class Inner:
        held: kind

    @event
    class Sealed(DomainEvent):
        held: kind

    @event
    class Wrapped(DomainEvent):
        inner: tuple[Inner, ...]

    for happened in (Sealed, Wrapped):
        with pytest.raises(InvalidEventClass, match=r"field 'held'.*make_converter"):
            codec_of(happened)


def test_a_type_that_nobody_knows_is_refused_with_the_store_not_at_the_first_append() -> None:
    @event
    class Granted(DomainEvent):
        permission: Permission

    with pytest.raises(InvalidEventClass, match="Granted: the field 'permission'"):
        InMemoryEventStore(registry=EventRegistry([Granted]))


def test_a_class_that_is_registered_later_is_checked_when_it_is_met() -> None:
    registry = EventRegistry()
    codec = EventCodec(registry)
    registry.register(Tied)
    for _ in range(2):
        with pytest.raises(InvalidEventClass, match="field 'rope'"):
            codec.encode(Tied(knot=Knot((Knot(),))))


@attrs.frozen
class Knot:
    """A value nested in itself, with a part that nobody knows."""

    next: "tuple[Knot, ...]" = ()
    rope: complex = 0j


@event
class Tied(DomainEvent):
    knot: Knot


def test_a_class_with_an_own_init_is_read_through_it() -> None:
    @event
    class Doubled(DomainEvent):
        amount: int

        def __init__(self, **given: Any) -> None:
            self.__attrs_init__(**(given | {"amount": min(given["amount"], 10)}))  # type: ignore[attr-defined]  # made by attrs

    codec = codec_of(Doubled)
    encoded = codec.encode(Doubled(amount=5))
    more = codec.decode(replace(encoded, data=encoded.data.replace(b'"amount":5', b'"amount":50')))
    assert codec.encode(more).data.endswith(b'"amount":10}')


def test_one_hook_without_the_other_is_refused() -> None:
    converter = make_converter()
    converter.register_unstructure_hook(Money, str)
    with pytest.raises(InvalidEventClass, match="no structure hook"):
        codec_of(Paid, converter)


def test_a_nested_secret_without_a_default_is_refused() -> None:
    @attrs.frozen
    class Key:
        pin: str = secret()

    @event
    class KeyTurned(DomainEvent):
        key: Key

    with pytest.raises(InvalidEventClass, match="'pin' is secret"):
        codec_of(KeyTurned)


def not_negative(_: object, field: Any, value: Decimal) -> None:
    if value < 0:
        raise ValueError(f"{field.name} is {value}")


def test_validators_run_on_what_is_read_and_keep_the_value_to_themselves() -> None:
    @event
    class Charged(DomainEvent):
        amount: Decimal = attrs.field(validator=not_negative)

    codec = codec_of(Charged)
    encoded = codec.encode(Charged(amount=Decimal("77.5")))
    assert codec._plan(Charged).read is not None
    with pytest.raises(DecodingError) as caught:
        codec.decode(replace(encoded, data=encoded.data.replace(b"77.5", b"-77.5")))
    assert str(caught.value) == "Charged.amount: expected a value that its validator takes"
    assert caught.value.__context__ is None


def test_converters_run_on_what_is_read() -> None:
    @event
    class Noted(DomainEvent):
        note: str = attrs.field(default="", converter=str.strip)

    codec = codec_of(Noted)
    encoded = codec.encode(Noted(note="kept"))
    assert codec.decode(replace(encoded, data=encoded.data.replace(b"kept", b" kept "))) == (
        codec.decode(encoded)
    )


def _upper(name: str) -> str:
    return name.upper()


@attrs.frozen
class Bend:
    name: str = attrs.field(converter=_upper)
    loop: "Loop | None" = None


@attrs.frozen
class Loop:
    bend: Bend | None = None


@event
class BendTied(DomainEvent):
    bend: Bend


@event
class LoopTied(DomainEvent):
    loop: Loop


@pytest.mark.parametrize("registered", [[BendTied, LoopTied], [LoopTied, BendTied], [LoopTied]])
def test_converters_run_in_values_that_are_part_of_each_other(
    registered: list[type[DomainEvent]],
) -> None:
    codec = EventCodec(EventRegistry(registered))
    encoded = codec.encode(LoopTied(loop=Loop(bend=Bend(name="bowline"))))
    lower = replace(encoded, data=encoded.data.replace(b"BOWLINE", b"bowline"))
    read = codec.decode(lower)
    assert isinstance(read, LoopTied)
    assert read.loop == Loop(bend=Bend(name="BOWLINE"))


def test_a_class_that_looks_at_its_fields_together_may_refuse_them() -> None:
    @event
    class Spanned(DomainEvent):
        first: int
        last: int

        def __attrs_post_init__(self) -> None:
            if self.last < self.first:
                raise ValueError("ends before it begins")

    codec = codec_of(Spanned)
    encoded = codec.encode(Spanned(first=1, last=2))
    with pytest.raises(DecodingError, match="Spanned: expected values that go together"):
        codec.decode(replace(encoded, data=encoded.data.replace(b'"last":2', b'"last":0')))
