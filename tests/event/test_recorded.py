"""Streams, metadata, registries and errors: the small values that everything else passes on."""

import inspect
import pickle
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_events import errors
from dashtam_events.declaration import SSE, Audit, Email, Phase
from dashtam_events.errors import DashtamEventsError, InvalidEventClass
from dashtam_events.event import DomainEvent, event
from dashtam_events.recorded import EventMetadata, StreamId
from dashtam_events.registry import EventRegistry

ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


@given(
    st.from_regex(r"[A-Za-z][A-Za-z0-9_]*", fullmatch=True),
    st.uuids() | st.text(min_size=1, max_size=200).filter(str.isprintable),
)
@settings(deadline=None)
def test_a_stream_is_read_back_from_its_text(category: str, stream_id: UUID | str) -> None:
    stream = StreamId(category, stream_id)
    assert StreamId.parse(str(stream)) == stream


@pytest.mark.parametrize(
    ("category", "stream_id"),
    [
        ("", "1"),
        ("a-b", "1"),
        ("1a", "1"),
        ("ä", "1"),
        ("a\n", "1"),
        ("a", ""),
        ("a", "x" * 201),
        ("a", "\n"),
    ],
)
def test_what_is_no_stream_is_refused(category: str, stream_id: str) -> None:
    with pytest.raises(ValueError, match="a stream's"):
        StreamId(category, stream_id)


def test_a_text_without_a_dash_is_no_stream() -> None:
    with pytest.raises(ValueError, match="category-id"):
        StreamId.parse("account")


@event(category="accounts", workflow="closing", phase=Phase.SUCCEEDED, email=Email())
class AccountClosed(DomainEvent):
    user_id: UUID


@event(category="accounts", audit=Audit("OPENED", resource="account"), sse=SSE("opened", "user_id"))
class AccountOpened(DomainEvent):
    user_id: UUID


@event(name="Moved", version=2, upcasters={1: dict})
class AddressMoved(DomainEvent):
    pass


def test_metadata_is_made_from_a_mapping_and_keeps_the_rest_as_extras() -> None:
    made = EventMetadata.of({"actor": "a", "causation_id": str(ID), "tenant": "7"})
    assert made == EventMetadata(actor="a", causation_id=ID, extras={"tenant": "7"})
    assert EventMetadata.of({"causation_id": ID}).causation_id == ID
    assert EventMetadata.of(made) is made
    assert EventMetadata.of(None) == EventMetadata()
    both = EventMetadata.of({"extras": {"a": "1"}, "b": "2"})
    assert both.extras == {"a": "1", "b": "2"}
    with pytest.raises(ValueError, match="UUID"):
        EventMetadata.of({"causation_id": "no uuid"})


@pytest.mark.parametrize("value", [7, ID, b"text", ["text"], None])
@pytest.mark.parametrize("key", ["correlation_id", "actor", "trace_id", "tenant"])
def test_metadata_is_text_and_nothing_is_made_text_of(key: str, value: Any) -> None:
    if value is None and key != "tenant":
        assert EventMetadata.of({key: None}) == EventMetadata()
        return
    with pytest.raises(TypeError, match=f"metadata: {key!r} must be text"):
        EventMetadata.of({key: value})


def test_metadata_of_another_shape_is_refused() -> None:
    with pytest.raises(TypeError, match="'causation_id' must be a UUID"):
        EventMetadata.of({"causation_id": 7})
    with pytest.raises(TypeError, match="'extras' must be a mapping"):
        EventMetadata.of({"extras": "text"})
    with pytest.raises(TypeError, match="the keys of 'extras' must be text"):
        EventMetadata(extras={7: "text"})  # type: ignore[dict-item]  # the mistake
    with pytest.raises(TypeError, match="'tenant' must be text"):
        EventMetadata(extras={"tenant": 7})  # type: ignore[dict-item]  # the mistake


def test_metadata_follows_a_cause() -> None:
    cause = AccountOpened(user_id=ID)
    first = EventMetadata(actor="a").following(cause)
    assert (first.correlation_id, first.causation_id) == (str(cause.event_id), cause.event_id)
    effect = AccountClosed(user_id=ID)
    second = first.following(effect)
    assert (second.correlation_id, second.causation_id) == (str(cause.event_id), effect.event_id)


def test_a_registry_finds_events_by_name_and_version() -> None:
    registry = EventRegistry([AccountClosed, AccountOpened, AddressMoved])
    assert registry.get("Moved") is registry.get("Moved", 1) is registry.get("Moved", 2)
    assert registry.get("Moved", 3) is registry.get("Moved", 0) is registry.get("X") is None
    assert registry.spec_of(AddressMoved).name == "Moved"
    assert (len(registry), AddressMoved in registry, int in registry) == (3, True, False)
    assert repr(registry) == "EventRegistry(3 events)"


def test_a_registry_selects_events_by_what_they_declare() -> None:
    registry = EventRegistry([AccountClosed, AccountOpened, AddressMoved])
    assert registry.by_category("accounts") == (AccountClosed, AccountOpened)
    assert registry.by_workflow("closing") == registry.emailed() == (AccountClosed,)
    assert registry.audited() == registry.streamed() == (AccountOpened,)
    counted = registry.statistics()
    assert (counted.events, counted.audited, counted.emailed, counted.streamed) == (3, 1, 1, 1)
    assert counted.by_category == {"accounts": 2, "": 1}
    assert counted.by_phase == {"succeeded": 1, "": 2}


def test_registries_are_joined_and_leave_each_other_alone() -> None:
    frozen = EventRegistry([AccountClosed], frozen=True)
    joined = frozen | EventRegistry([AccountOpened])
    joined.register(AddressMoved)
    assert tuple(joined) == (AccountClosed, AccountOpened, AddressMoved)
    assert tuple(frozen) == (AccountClosed,)


def test_a_name_is_taken_once_and_a_frozen_registry_takes_no_more() -> None:
    @event(name="AccountClosed")
    class Impostor(DomainEvent):
        pass

    registry = EventRegistry([AccountClosed], frozen=True)
    assert registry.register(AccountClosed) is AccountClosed
    with pytest.raises(InvalidEventClass, match="frozen"):
        registry.register(AccountOpened)
    with pytest.raises(InvalidEventClass, match="is taken by"):
        EventRegistry([AccountClosed, Impostor])
    with pytest.raises(InvalidEventClass, match="not registered"):
        registry.spec_of(AccountOpened)
    with pytest.raises(InvalidEventClass, match="decorate it"):
        EventRegistry([DomainEvent])


FACTS: dict[str, Any] = {"UUID": ID, "int": 3, "float": 1.5, "str": "text", "int | str": 3}
FACTS["Mapping"] = {"text": ("text",)}


def _error_classes() -> list[type[DashtamEventsError]]:
    return [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("cls", _error_classes())
def test_an_error_pickles_with_its_facts_and_reads_as_a_sentence(cls: Any) -> None:
    own_init = cls.__init__ is not Exception.__init__
    wanted = inspect.signature(cls.__init__).parameters if own_init else {}
    facts = {
        name: FACTS.get(getattr(p.annotation, "__name__", str(p.annotation)), "text")
        for name, p in wanted.items()
        if p.kind is p.POSITIONAL_OR_KEYWORD and name != "self"
    }
    error = cls(*facts.values())
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert (again.args, str(again)) == (error.args, str(error))
    assert {name: getattr(again, name) for name in facts} == facts
    assert isinstance(error, DashtamEventsError)


def test_every_error_is_in_the_tree_of_the_docstring() -> None:
    for name in errors.__all__:
        assert name in (errors.__doc__ or "")
