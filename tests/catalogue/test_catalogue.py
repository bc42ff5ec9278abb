"""What holds for every event of the catalogue."""

import importlib
import inspect
import pkgutil
import re
from datetime import UTC, datetime
from decimal import Decimal
from types import UnionType
from typing import Any, Union, get_args, get_origin
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_events import catalogue
from dashtam_events.catalogue import CATALOGUE
from dashtam_events.declaration import EventSpec, FieldSpec, LogLevel, Phase, Privacy
from dashtam_events.errors import InvalidEventClass
from dashtam_events.event import DomainEvent, event, spec_of

PRIVATE = "for-nobody-else"
SAMPLES: dict[Any, Any] = {
    str: "sample",
    int: 7,
    float: 0.25,
    bool: True,
    UUID: UUID(int=1),
    Decimal: Decimal("10.50"),
    datetime: datetime(2024, 1, 1, tzinfo=UTC),
}
MARKED = [
    cls
    for cls in CATALOGUE
    if len(spec_of(cls).fields_of(Privacy.PUBLIC)) < len(spec_of(cls).fields)
]

every_event = pytest.mark.parametrize("cls", CATALOGUE, ids=lambda cls: cls.__name__)


def kind_of(field: FieldSpec) -> Any:
    """The type of a field, for an optional one without its None."""
    if get_origin(field.type) in (Union, UnionType):
        return get_args(field.type)[0]
    return field.type


def smallest(cls: type[DomainEvent], **more: Any) -> DomainEvent:
    """An event of this class with what it requires, and more where more is given."""
    required = [field for field in spec_of(cls).fields if field.required]
    return cls(**{field.name: SAMPLES[kind_of(field)] for field in required} | more)


def field_named(spec: EventSpec, name: str) -> FieldSpec:
    return next(field for field in spec.fields if field.name == name)


def defined_classes() -> set[type[DomainEvent]]:
    """Every event class that a module of the catalogue defines."""
    path, prefix = catalogue.__path__, f"{catalogue.__name__}."
    modules = [importlib.import_module(m.name) for m in pkgutil.walk_packages(path, prefix)]
    return {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, DomainEvent) and value is not DomainEvent
    }


def test_it_holds_80_events_of_which_72_are_audited_8_mailed_and_24_shown_live() -> None:
    counted = CATALOGUE.statistics()
    assert (counted.events, counted.audited) == (80, 72)
    assert (counted.emailed, counted.streamed) == (8, 24)


def test_every_event_that_is_defined_is_registered() -> None:
    assert defined_classes() == set(CATALOGUE)


def test_every_event_can_be_imported_from_the_front() -> None:
    names = {cls.__name__ for cls in CATALOGUE}
    others = {
        "CATALOGUE",
        "SSEEvent",
        "SSEEventCategory",
        "SSEEventType",
        "get_category_for_event_type",
    }
    assert set(catalogue.__all__) == names | others
    assert all(getattr(catalogue, cls.__name__) is cls for cls in CATALOGUE)


def test_it_takes_no_more_events() -> None:
    @event
    class AccountOpened(DomainEvent):
        pass

    with pytest.raises(InvalidEventClass):
        CATALOGUE.register(AccountOpened)


@every_event
def test_it_is_stored_under_its_class_name_in_version_1(cls: type[DomainEvent]) -> None:
    assert (spec_of(cls).name, spec_of(cls).version) == (cls.__name__, 1)


@every_event
def test_it_is_made_from_what_it_requires(cls: type[DomainEvent]) -> None:
    made = smallest(cls)
    for field in spec_of(cls).fields:
        value = getattr(made, field.name)
        assert value == (SAMPLES[kind_of(field)] if field.required else field.default)


@every_event
def test_it_cannot_be_changed(cls: type[DomainEvent]) -> None:
    made = smallest(cls)
    for field in spec_of(cls).fields:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(made, field.name, None)


@every_event
def test_it_is_described_with_each_of_its_fields_in_order(cls: type[DomainEvent]) -> None:
    described = inspect.cleandoc(cls.__doc__ or "")
    summary, _, attributes = described.partition("\n\nAttributes:\n")
    assert summary.endswith(".")
    documented = re.findall(r"^ {4}(\w+): \S", attributes, re.MULTILINE)
    assert documented == [field.name for field in spec_of(cls).fields]


@every_event
def test_what_reaches_the_subject_names_a_subject(cls: type[DomainEvent]) -> None:
    spec = spec_of(cls)
    if spec.email or spec.sse or spec.ends_sessions:
        assert spec.subject == "user_id"


@every_event
def test_no_secret_is_audited_or_shown_live(cls: type[DomainEvent]) -> None:
    spec = spec_of(cls)
    audited = {spec.audit.user_id, spec.audit.resource_id} if spec.audit else set()
    shown = set(spec.sse.payload.values()) if spec.sse else set()
    assert not (audited | shown) & set(spec.fields_of(Privacy.SECRET))


@every_event
def test_the_condition_of_a_mail_is_a_boolean(cls: type[DomainEvent]) -> None:
    spec = spec_of(cls)
    if spec.email and spec.email.when:
        assert field_named(spec, spec.email.when).type is bool


@every_event
def test_a_failure_or_denial_is_logged_as_a_warning(cls: type[DomainEvent]) -> None:
    spec = spec_of(cls)
    if spec.phase in (Phase.FAILED, Phase.DENIED):
        assert spec.log_level is LogLevel.WARNING


@every_event
def test_an_attempt_has_both_outcomes(cls: type[DomainEvent]) -> None:
    spec = spec_of(cls)
    if spec.phase is Phase.ATTEMPTED:
        assert spec.workflow is not None
        phases = {spec_of(step).phase for step in CATALOGUE.by_workflow(spec.workflow)}
        assert phases >= {Phase.SUCCEEDED, Phase.FAILED} or phases >= {Phase.ALLOWED, Phase.DENIED}


def test_each_audited_event_has_an_action_of_its_own() -> None:
    actions = [spec.audit.action for spec in map(spec_of, CATALOGUE) if spec.audit]
    assert len(set(actions)) == len(actions)
    assert all(re.fullmatch(r"[A-Z]+(_[A-Z]+)*", action) for action in actions)


def test_fields_that_could_name_a_person_or_open_a_door_are_marked() -> None:
    """A new field with one of these names must not come in unmarked."""
    personal = {"email", "ip_address", "user_agent", "device_info", "location", "file_name"}
    for cls in CATALOGUE:
        for field in spec_of(cls).fields:
            if field.name in personal:
                assert field.privacy is Privacy.PERSONAL, f"{cls.__name__}.{field.name}"
            if field.name == "token" or field.name.endswith("_token"):
                assert field.privacy is Privacy.SECRET, f"{cls.__name__}.{field.name}"


@given(cls=st.sampled_from(MARKED), text=st.text())
def test_the_repr_shows_nothing_personal_and_no_secret(cls: type[DomainEvent], text: str) -> None:
    spec, value = spec_of(cls), PRIVATE + text
    hidden = spec.fields_of(Privacy.PERSONAL) + spec.fields_of(Privacy.SECRET)
    filled = {
        name: value if kind_of(field_named(spec, name)) is str else {value: value}
        for name in hidden
    }
    shown = repr(smallest(cls, **filled))
    assert PRIVATE not in shown
    assert not any(f"{name}=" in shown for name in spec.fields_of(Privacy.SECRET))
