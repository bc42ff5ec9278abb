"""What is refused when an event class is defined, and what a class declares."""

import copy
import pickle
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import pytest

from dashtam_events._checks import check_name
from dashtam_events._frozen import EMPTY, FrozenDict
from dashtam_events.declaration import SSE, Audit, Email, LogLevel, Phase, Privacy
from dashtam_events.errors import InvalidEventClass
from dashtam_events.event import DomainEvent, event, spec_of
from dashtam_events.privacy import personal, privacy_of, secret

ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
WHEN = datetime(2026, 1, 2, tzinfo=UTC)


@event(category="accounts", subject="owner", version=2, upcasters={1: dict})
class AccountOpened(DomainEvent):
    owner: UUID
    holder: str = personal(default="nobody")
    limits: Mapping[str, int] = EMPTY
    at: datetime | None = None
    pin: str | None = secret(default=None)


def opened(**changed: Any) -> AccountOpened:
    given: dict[str, Any] = {"owner": ID, "event_id": ID, "occurred_at": WHEN}
    return AccountOpened(**(given | changed))


@attrs.define
class Counter:
    """A value that can be changed."""

    count: int = 0


@attrs.frozen
class Reading:
    """A value that cannot."""

    count: int = 0


def field_of(annotation: Any, default: Any = attrs.NOTHING) -> Callable[[], Any]:
    """The definition of an event class with one field of that type and default."""

    def define() -> Any:
        body = {"__annotations__": {"held": annotation}, "__module__": __name__}
        if default is not attrs.NOTHING:
            body["held"] = default
        return event(type("Held", (DomainEvent,), body))

    return define


@pytest.mark.parametrize(
    ("define", "reason"),
    [
        (field_of(list[int]), r"can change: use tuple\[X, \.\.\.\]"),
        (field_of(dict[str, int]), "can change: use Mapping"),
        (field_of(set[int] | None, None), "can change: use frozenset"),
        (field_of(bytearray), "can change: use bytes"),
        (field_of(Sequence[int]), r"can change: use tuple\[X, \.\.\.\]"),
        (field_of(MutableMapping[str, int]), "can change: use Mapping"),
        (field_of(tuple[list[int], ...]), r"can change: use tuple\[X, \.\.\.\]"),
        (field_of(Mapping[str, list[int]]), r"can change: use tuple\[X, \.\.\.\]"),
        (field_of(tuple[Annotated[set[int], "few"], ...] | None, None), "use frozenset"),
        (field_of(Counter), "type that can change: make Counter frozen"),
        (field_of(tuple[Counter, ...]), "type that can change: make Counter frozen"),
        (field_of(tuple[int, ...], attrs.field(factory=list)), "default that can change"),
        (field_of(object, []), "default that can change"),
        (field_of(datetime, datetime(2026, 1, 1)), "naive datetime"),  # noqa: DTZ001  # on purpose
        (field_of(str, secret()), "write default=None"),
        (field_of(str, secret(default="x")), "write default=None"),  # type: ignore[arg-type]  # on purpose
        (field_of("Unheard"), "Unheard is not known here"),
        (field_of(int, attrs.field(default=attrs.Factory(id, takes_self=True))), "on the others"),
    ],
)
def test_a_field_that_cannot_hold_is_refused(define: Callable[[], Any], reason: str) -> None:
    with pytest.raises(InvalidEventClass, match=reason) as caught:
        define()
    assert "Held" in str(caught.value)
    assert "Unheard" in reason or "'held'" in str(caught.value)


@pytest.mark.parametrize("annotation", [Reading, tuple[Reading, ...], Literal["list"], Any])
def test_a_field_that_cannot_change_is_taken(annotation: Any) -> None:
    assert field_of(annotation)()(held=None).held is None


def test_a_private_field_is_refused() -> None:
    with pytest.raises(InvalidEventClass, match="without an underscore"):

        @event
        class Hidden(DomainEvent):
            _field: int


@pytest.mark.parametrize("redefine", ["annotated", "assigned", "inherited"])
@pytest.mark.parametrize("name", ["event_id", "occurred_at"])
def test_the_identity_of_an_event_is_not_its_own_to_define(name: str, redefine: str) -> None:
    body: dict[str, Any] = {"__annotations__": {name: str}} if redefine != "assigned" else {name: 1}
    bases: tuple[type, ...] = (DomainEvent,)
    if redefine == "inherited":
        bases, body = (type("Mixin", (), body), DomainEvent), {}
    with pytest.raises(InvalidEventClass, match=f"{name!r} is every event's own: choose another"):
        event(type("Redefined", bases, body))


NOT_PAST = """CloseAccount AccountCloses AccountClosing closing TransferSucceed PaymentProceed
    LimitExceed AccountNeed PageEmbed""".split()


@pytest.mark.parametrize("name", NOT_PAST)
def test_a_workflow_event_that_is_not_in_the_past_tense_is_refused(name: str) -> None:
    with pytest.raises(InvalidEventClass, match="past participle"):
        check_name(name, "closing", Phase.SUCCEEDED)
    check_name(name, None, None)
    check_name(name, "closing", Phase.OPERATIONAL)


PAST = """AccountClosed TokenSent TransferFailedEvent TransferSucceeded TermsAgreed FundsFreed
    LoanGuaranteed""".split()


@pytest.mark.parametrize("name", PAST)
def test_the_past_tense_is_taken(name: str) -> None:
    check_name(name, "closing", None)


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({"subject": "nobody"}, "subject names the field 'nobody'"),
        ({"audit": Audit("A", resource="r", resource_id="nothing")}, "audit names"),
        ({"email": Email(when="never")}, "email names"),
        ({"sse": SSE("a.b", "missing")}, "sse names"),
        ({"sse": SSE("a.b", shown="pin")}, "sse names the field 'pin', which is secret"),
        ({"subject": "pin"}, "subject names the field 'pin', which is secret"),
        ({"version": 0}, "version 0"),
        ({"version": 2}, "exactly one upcaster"),
        ({"version": 3, "upcasters": {1: dict}}, "exactly one upcaster"),
        ({"upcasters": {1: dict}}, "exactly one upcaster"),
    ],
)
def test_a_declaration_that_cannot_hold_is_refused(declared: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEventClass, match=reason):

        @event(**declared)
        class Declared(DomainEvent):
            user_id: UUID
            pin: str | None = secret(default=None)


@pytest.mark.parametrize("other", [int, "text", None.__class__])
def test_only_a_subclass_of_domain_event_becomes_an_event(other: Any) -> None:
    with pytest.raises(InvalidEventClass, match="subclass of DomainEvent"):
        event(other)


def test_a_class_without_the_decorator_is_no_event() -> None:
    class Undecorated(AccountOpened):
        pass

    for cls in (Undecorated, DomainEvent):
        with pytest.raises(InvalidEventClass, match="decorate it"):
            spec_of(cls)


def test_an_undecorated_class_says_so_when_an_event_is_made_of_it() -> None:
    class Forgotten(DomainEvent):
        amount: int

    class Extended(AccountOpened):
        amount: int

    for made in (Forgotten, Extended, DomainEvent):
        make: Any = made
        with pytest.raises(InvalidEventClass, match="not an event: decorate it with @event"):
            make(owner=ID, amount=1)


def test_an_own_constructor_is_kept() -> None:
    @event
    class Counted(DomainEvent):
        number: int

        def __init__(self, text: str) -> None:
            self.__attrs_init__(number=int(text))  # type: ignore[attr-defined]  # written by attrs

    assert Counted("7").number == 7


def test_a_declaration_is_filled_in_from_the_class() -> None:
    @event(audit=Audit("X", resource="account"), phase=Phase.FAILED)
    class LoginFailed(DomainEvent):
        user_id: UUID

    spec = spec_of(LoginFailed)
    assert (spec.name, spec.version, spec.subject) == ("LoginFailed", 1, "user_id")
    assert spec.log_level is LogLevel.WARNING
    assert spec.audit == Audit("X", resource="account", user_id="user_id")
    assert spec_of(AccountOpened).log_level is LogLevel.INFO


def test_the_fields_of_a_declaration_say_type_privacy_and_default() -> None:
    spec = spec_of(AccountOpened)
    assert [field.name for field in spec.fields] == ["owner", "holder", "limits", "at", "pin"]
    assert [field.required for field in spec.fields] == [True, False, False, False, False]
    assert spec.fields_of(Privacy.PERSONAL) == ("holder",)
    assert spec.fields_of(Privacy.SECRET) == ("pin",)
    assert privacy_of(attrs.fields_dict(AccountOpened)["owner"]) is Privacy.PUBLIC  # type: ignore[arg-type]  # an attrs class at run time


def test_an_event_is_born_with_an_identity_and_an_instant() -> None:
    first, second = AccountOpened(owner=ID), AccountOpened(owner=ID)
    assert first.event_id != second.event_id
    assert first.event_id.version == 7
    assert first.occurred_at.tzinfo is UTC


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(0), "GMT"), timezone(timedelta(hours=2))])
def test_the_instant_of_an_event_is_kept_in_utc(zone: tzinfo) -> None:
    moved = opened(occurred_at=WHEN.astimezone(zone))
    assert moved.occurred_at == WHEN
    assert moved.occurred_at.tzinfo is UTC


class Nowhere(tzinfo):
    """A timezone that does not know its offset: a datetime in it is naive."""

    def utcoffset(self, _when: datetime | None, /) -> None:
        return None

    dst = tzname = utcoffset


@pytest.mark.parametrize("zone", [None, Nowhere()])
def test_a_naive_instant_is_refused(zone: tzinfo | None) -> None:
    for field in ("occurred_at", "at"):
        with pytest.raises(ValueError, match=field):
            opened(**{field: datetime(2026, 1, 1, tzinfo=zone)})


@event
class Scheduled(DomainEvent):
    at: datetime | None = None
    dates: tuple[datetime, ...] = ()
    named: Mapping[str, datetime] = EMPTY
    both: Mapping[str, tuple[datetime, ...]] = EMPTY


@pytest.mark.parametrize("zone", [None, Nowhere()])
def test_a_naive_instant_within_a_collection_is_refused(zone: tzinfo | None) -> None:
    naive = datetime(2026, 1, 1, tzinfo=zone)
    given: list[dict[str, Any]] = [
        {"dates": (WHEN, naive)},
        {"named": {"a": naive}},
        {"both": {"a": (naive,)}},
    ]
    for fields in given:
        (name,) = fields
        with pytest.raises(ValueError, match=f"{name} has a naive datetime: give it a timezone"):
            Scheduled(**fields)


@pytest.mark.parametrize("fold", [0, 1])
def test_the_zone_of_a_datetime_is_kept_as_its_offset(fold: int) -> None:
    """In the hour that autumn repeats, a zone's name alone would not say which one is meant."""
    twice = datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
    fixed = datetime(2025, 10, 26, 2, 30, tzinfo=timezone(timedelta(hours=2 - fold)))
    named: dict[str, Any] = {"named": {"a": twice}, "both": {"a": (twice,)}}
    made = Scheduled(at=twice, dates=(twice,), **named)
    assert (made.at, made.dates) == (fixed, (fixed,))
    assert (made.named, made.both) == ({"a": fixed}, {"a": (fixed,)})
    assert made.at is not None
    assert made.at.utcoffset() == twice.utcoffset()


def test_events_are_equal_when_all_but_the_secrets_is() -> None:
    assert opened() == opened()
    assert opened(pin="1") == opened(pin="2")
    assert opened(holder="x") != opened()
    assert hash(opened(holder="x")) == hash(opened()) == hash(ID)


def test_an_event_cannot_be_changed() -> None:
    happened = opened()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        happened.holder = "x"  # type: ignore[misc]  # read-only
    with pytest.raises(AttributeError):
        setattr(happened, "more", 1)  # noqa: B010  # no such field


@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy])
def test_an_event_pickles_and_copies(copied: Callable[[Any], Any]) -> None:
    happened = opened(limits={"a": 1}, at=WHEN)
    assert copied(happened) == happened


def test_a_mapping_is_copied_on_the_way_in() -> None:
    limits = {"a": 1}
    happened = opened(limits=limits)
    limits["b"] = 2
    assert happened.limits == {"a": 1}
    assert isinstance(happened.limits, FrozenDict)


def test_a_mapping_within_a_mapping_is_copied_too() -> None:
    @event
    class Nested(DomainEvent):
        deep: Mapping[str, Mapping[str, int]]

    inner = {"a": 1}
    happened = Nested(deep={"x": inner})
    inner["b"] = 2
    assert happened.deep == {"x": {"a": 1}}
    assert hash(happened.deep) == hash(FrozenDict({"x": FrozenDict({"a": 1})}))


def test_an_own_hash_is_kept() -> None:
    @event
    class Hashed(DomainEvent):
        def __hash__(self) -> int:
            return 7

    assert hash(Hashed()) == 7


def test_a_frozen_dict_is_a_mapping_that_never_changes() -> None:
    frozen = FrozenDict({"a": 1})
    assert frozen == {"a": 1}
    assert hash(frozen) == hash(FrozenDict({"a": 1}))
    assert repr(frozen) == "{'a': 1}"
    assert pickle.loads(pickle.dumps(frozen)) == frozen
    with pytest.raises(AttributeError, match="immutable"):
        setattr(frozen, "more", 1)  # noqa: B010  # refused at run time
