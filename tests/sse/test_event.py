"""A server-sent event: how it is made, kept, carried and encoded."""

import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest

from dashtam_events.declaration import SSE, Audit, Email
from dashtam_events.errors import InvalidEventClass, SSEEncodingError
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal, secret
from dashtam_events.recorded import UnknownEvent
from dashtam_events.sse import ServerSentEvent

USER = uuid4()


@event(sse=SSE("door.opened", "door", fee="cost"))
class DoorOpened(DomainEvent):
    """A door was opened."""

    user_id: UUID | None
    door: str
    cost: Decimal = Decimal("0.10")
    reason: str | None = personal(default=None)


@event
class DoorPainted(DomainEvent):
    """A door was painted; nobody is shown."""

    user_id: UUID


@event(sse=SSE("door.cleaned"))
class DoorCleaned(DomainEvent):
    """A door was cleaned, for nobody in particular."""


def opened(**changed: Any) -> ServerSentEvent:
    values: dict[str, Any] = {"user_id": USER, "data": {"door": "front"}}
    return ServerSentEvent(**({"event_type": "door.opened"} | values | changed))


def test_it_has_an_id_and_a_time_of_its_own() -> None:
    before = datetime.now(UTC)
    one, other = opened(), opened()
    assert one.event_id != other.event_id
    assert one.event_id.version == 7
    assert before <= one.occurred_at <= datetime.now(UTC)


def test_its_category_is_the_first_word_of_its_type() -> None:
    assert opened().category == "door"
    assert opened(event_type="plain").category == "plain"


def test_its_bytes_are_made_once() -> None:
    shown = opened()
    assert shown.encode() is shown.encode()
    assert shown.to_sse_format() == shown.encode().decode()
    assert shown.encode().startswith(f"id: {shown.event_id}\nevent: door.opened\ndata: ".encode())


def test_encoding_does_not_change_what_it_equals() -> None:
    shown = opened()
    twin = attrs.evolve(shown)
    shown.encode()
    assert shown == twin
    assert hash(shown) == hash(twin)
    assert shown != attrs.evolve(shown, data={})


def test_an_event_made_from_another_has_bytes_of_its_own() -> None:
    shown = opened()
    shown.encode()
    assert b'"back"' in attrs.evolve(shown, data={"door": "back"}).encode()


def test_its_data_is_copied_and_does_not_change() -> None:
    data = {"door": "front"}
    shown = opened(data=data)
    data["door"] = "back"
    assert shown.data == {"door": "front"}
    with pytest.raises(TypeError):
        shown.data["door"] = "back"  # type: ignore[index]  # what is refused


def test_its_repr_leaves_the_data_out() -> None:
    assert "canary" not in repr(opened(data={"door": "canary"}))


def test_its_time_is_kept_in_utc() -> None:
    there = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert opened(occurred_at=there).occurred_at.isoformat() == "2026-01-02T01:00:00+00:00"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"event_type": "error"}, SSEEncodingError),
        ({"event_type": "two\nlines"}, SSEEncodingError),
        ({"occurred_at": datetime(2026, 1, 2)}, ValueError),  # noqa: DTZ001  # what is refused
        ({"user_id": "canary"}, TypeError),
        ({"event_id": "canary"}, TypeError),
    ],
)
def test_what_could_not_be_sent_is_refused_when_it_is_made(
    changed: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        opened(**changed)
    assert "canary" not in str(refused.value)


def test_data_that_cannot_be_carried_is_refused_by_every_way_out() -> None:
    shown = opened(data={"door": float("nan")})
    for way_out in (shown.encode, shown.to_sse_format, shown.to_dict):
        with pytest.raises(SSEEncodingError, match=r"data\.door"):
            way_out()


def test_it_comes_back_from_its_dict_and_from_json() -> None:
    shown = opened(data={"door": "front", "steps": [1, 2.5, None, True, {"deep": "\u2028\0"}]})
    assert ServerSentEvent.from_dict(shown.to_dict()) == shown
    assert ServerSentEvent.from_dict(json.loads(json.dumps(shown.to_dict()))) == shown


def test_its_dict_holds_only_the_types_of_json() -> None:
    shown = opened(data={"id": USER, "cost": Decimal("1.50"), "pair": (1, 2)})
    assert shown.to_dict() == {
        "event_id": str(shown.event_id),
        "event_type": "door.opened",
        "user_id": str(USER),
        "data": {"id": str(USER), "cost": "1.50", "pair": [1, 2]},
        "occurred_at": shown.occurred_at.isoformat(),
    }


def test_it_pickles() -> None:
    shown = opened()
    assert pickle.loads(pickle.dumps(shown)) == shown


FIELDS = ["event_id", "event_type", "user_id", "data", "occurred_at"]


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_field_is_named(name: str) -> None:
    values = opened().to_dict()
    del values[name]
    with pytest.raises(KeyError, match=name):
        ServerSentEvent.from_dict(values)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("bad", [None, 17, "", "the canary", ["the canary"]])
def test_a_bad_field_is_a_value_error_that_names_it(name: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=name) as refused:
        ServerSentEvent.from_dict(opened().to_dict() | {name: bad})
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_naive_time_is_a_bad_field() -> None:
    with pytest.raises(ValueError, match="occurred_at"):
        ServerSentEvent.from_dict(opened().to_dict() | {"occurred_at": "2026-01-02T03:04:05"})


def test_a_domain_event_is_shown_as_its_class_declares() -> None:
    happened = DoorOpened(user_id=USER, door="front", reason="private")
    shown = ServerSentEvent.from_event(happened)
    assert shown == ServerSentEvent(
        event_type="door.opened",
        user_id=USER,
        data={"door": "front", "fee": Decimal("0.10")},
        event_id=happened.event_id,
        occurred_at=happened.occurred_at,
    )


@pytest.mark.parametrize(
    "happened",
    [
        DoorPainted(user_id=USER),
        DoorCleaned(),
        DoorOpened(user_id=None, door="front"),
        UnknownEvent(name="Gone", schema_version=1, data=b"{}", subject=str(USER)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_is_not_shown_live_or_to_nobody_is_none(happened: DomainEvent) -> None:
    assert ServerSentEvent.from_event(happened) is None


@pytest.mark.parametrize(
    "declared",
    [
        {"sse": SSE("door.opened", "code")},
        {"sse": SSE("door.opened", shown="code")},
        {"audit": Audit("OPENED", resource="door", resource_id="code")},
        {"audit": Audit("OPENED", resource="door", user_id="code")},
        {"email": Email(when="code")},
        {"subject": "code"},
    ],
)
def test_a_declaration_that_names_a_secret_is_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(InvalidEventClass, match="'code', which is secret"):

        @event(**declared)
        class DoorUnlocked(DomainEvent):
            code: str | None = secret(default=None)
