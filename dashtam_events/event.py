"""Domain events: immutable facts, declared once, with everything the adapters need on the class."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast, dataclass_transform, overload
from uuid import UUID

import attrs

from dashtam_events._checks import (
    IDENTITY,
    check_identity,
    check_name,
    checked_fields,
    default_of,
)
from dashtam_events._clock import now
from dashtam_events._frozen import EMPTY
from dashtam_events._ids import new_id
from dashtam_events.declaration import (
    SSE,
    Audit,
    Email,
    EventSpec,
    FieldSpec,
    LogLevel,
    Phase,
    Privacy,
    Upcaster,
)
from dashtam_events.errors import InvalidEventClass
from dashtam_events.privacy import personal, privacy_of, redact, secret

__all__ = ["DomainEvent", "event", "spec_of"]

_UNDECORATED = "it is not an event: decorate it with @event"
_T = TypeVar("_T")
_E = TypeVar("_E", bound="DomainEvent")


def _utc(value: Any) -> Any:
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    if not isinstance(value, datetime) or value.utcoffset() is None:
        return value
    return value.astimezone(UTC)


def _is_utc(_instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if not isinstance(value, datetime) or value.tzinfo is not UTC:
        raise ValueError(f"{attribute.name} must be an aware datetime: pass one with a timezone")


def _let_attrs_construct(cls: type) -> None:
    """Take the refusal of the undecorated away: attrs leaves a constructor alone that is there."""
    own = cls.__dict__.get("__init__")
    if cls.__bases__ != (object,) and own is DomainEvent.__dict__["__init__"]:
        delattr(cls, "__init__")


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(attrs.field, personal, secret)
)
def _base(cls: type[_T]) -> type[_T]:
    _let_attrs_construct(cls)
    return attrs.define(frozen=True, slots=True, kw_only=True, repr=False, hash=False)(cls)


@_base
class DomainEvent:
    """Something that happened, told in the past tense and never changed.

    Subclass it and decorate the subclass with `event`. Every event has an identity of its own,
    `event_id` (a UUID of version 7), and an instant, `occurred_at` (aware, kept in UTC). Two
    events are equal when all that is kept of them is equal; secrets are not kept, so they do
    not count. Events hash by `event_id`. The repr masks personal fields and leaves secrets out.
    """

    event_id: UUID = attrs.field(factory=new_id)
    occurred_at: datetime = attrs.field(factory=now, converter=_utc, validator=_is_utc)

    def __init__(self, **_fields: Any) -> None:
        raise InvalidEventClass(type(self).__qualname__, _UNDECORATED)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" not in cls.__dict__:
            # The constructor of a parent that is an event would not know the fields of this one.
            cls.__init__ = DomainEvent.__init__  # type: ignore[method-assign]  # until @event writes it

    def __hash__(self) -> int:
        return hash(self.event_id)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in redact(self).items())
        return f"{type(self).__name__}({shown})"


def spec_of(cls: type[DomainEvent]) -> EventSpec:
    """What an event class declares.

    Raises:
        InvalidEventClass: the class is not decorated with `event`.
    """
    spec = cls.__dict__.get("__event_spec__")
    if spec is None:
        raise InvalidEventClass(cls.__qualname__, _UNDECORATED)
    return cast(EventSpec, spec)


@overload
@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(attrs.field, personal, secret)
)
def event(cls: type[_E], /) -> type[_E]: ...
@overload
@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(attrs.field, personal, secret)
)
def event(
    *,
    name: str | None = None,
    version: int = 1,
    category: str | None = None,
    workflow: str | None = None,
    phase: Phase | None = None,
    audit: Audit | None = None,
    email: Email | None = None,
    sse: SSE | None = None,
    log_level: LogLevel | None = None,
    ends_sessions: bool = False,
    subject: str | None = None,
    upcasters: Mapping[int, Upcaster] = EMPTY,
) -> Callable[[type[_E]], type[_E]]: ...
def event(cls: type[_E] | None = None, /, **declared: Any) -> Any:
    """Make a subclass of `DomainEvent` an event: frozen, slotted, keyword-only, and declared.

    Args:
        name: the stored name, for ever; by default the name of the class.
        version: the schema version, from 1. A field that changes its meaning is `version + 1`.
        category: the area of the service that the event belongs to.
        workflow: the undertaking it is a step of; its name must then be in the past tense.
        phase: where in the workflow it stands; `Phase.OPERATIONAL` frees the name.
        audit: what the audit trail records of it.
        email: that its subject is told by e-mail.
        sse: what is shown live of it.
        log_level: by default `WARNING` for the failed and denied, `INFO` for the rest.
        ends_sessions: that the sessions of its subject end with it.
        subject: the field that holds whom it is about; by default `user_id` where there is one.
        upcasters: for each earlier version, the function to the next one's raw form.

    Raises:
        InvalidEventClass: the declaration cannot hold; the sentence says how to mend it.
    """
    if cls is None:
        return lambda decorated: _declare(decorated, **declared)
    return _declare(cls, **declared)


def _declare(
    cls: type[_E],
    *,
    name: str | None = None,
    phase: Phase | None = None,
    log_level: LogLevel | None = None,
    **declared: Any,
) -> type[_E]:
    if DomainEvent not in getattr(cls, "__mro__", ()):
        name_of_it = getattr(cls, "__qualname__", type(cls).__qualname__)
        raise InvalidEventClass(name_of_it, "it must be a subclass of DomainEvent")
    check_name(cls.__name__, declared.get("workflow"), phase)
    check_identity(cls, DomainEvent)
    defined = _define(cls)
    if log_level is None:
        loud = phase in (Phase.FAILED, Phase.DENIED)
        log_level = LogLevel.WARNING if loud else LogLevel.INFO
    fields = _fields(defined)
    spec = EventSpec(
        name=name or cls.__name__, phase=phase, log_level=log_level, fields=fields, **declared
    )
    defined.__event_spec__ = _completed(spec, cls.__qualname__)  # type: ignore[attr-defined]  # on every event class
    return defined


def _define(cls: type[_E]) -> type[_E]:
    _let_attrs_construct(cls)
    if "__hash__" not in cls.__dict__:
        # A class that defines __eq__ loses an inherited __hash__; attrs writes the former.
        cls.__hash__ = DomainEvent.__hash__  # type: ignore[method-assign]  # before attrs makes the slotted class
    return attrs.define(
        cls,
        frozen=True,
        slots=True,
        kw_only=True,
        repr=False,
        hash=False,
        field_transformer=checked_fields,
    )


def _fields(cls: type[DomainEvent]) -> tuple[FieldSpec, ...]:
    return tuple(
        FieldSpec(
            name=field.name,
            type=field.type,
            privacy=privacy_of(field),
            default=default_of(field),
        )
        for field in attrs.fields(cast(type[attrs.AttrsInstance], cls))
        if field.name not in IDENTITY
    )


def _completed(spec: EventSpec, cls: str) -> EventSpec:
    """The declaration with its defaults filled in, and every field that it names looked up."""
    names = {field.name for field in spec.fields}
    secrets = spec.fields_of(Privacy.SECRET)
    if spec.subject is None and "user_id" in names:
        spec = attrs.evolve(spec, subject="user_id")
    if spec.audit is not None and spec.audit.user_id == "<subject>":
        spec = attrs.evolve(spec, audit=attrs.evolve(spec.audit, user_id=spec.subject))
    for place, name in _named_fields(spec):
        if name not in names:
            raise InvalidEventClass(cls, f"{place} names the field {name!r}, which it has not")
        if name in secrets:
            raise InvalidEventClass(
                cls, f"{place} names the field {name!r}, which is secret: name another or none"
            )
    missing = set(range(1, spec.version)) ^ set(spec.upcasters)
    if spec.version < 1 or missing:
        raise InvalidEventClass(
            cls,
            f"version {spec.version} needs exactly one upcaster from each earlier version: "
            f"upcasters={{1: ..., {spec.version - 1}: ...}}",
        )
    return spec


def _named_fields(spec: EventSpec) -> list[tuple[str, str]]:
    named: list[tuple[str, str | None]] = [("subject", spec.subject)]
    if spec.audit is not None:
        named += [("audit", spec.audit.user_id), ("audit", spec.audit.resource_id)]
    if spec.email is not None:
        named.append(("email", spec.email.when))
    if spec.sse is not None:
        named += [("sse", source) for source in spec.sse.payload.values()]
    return [(place, name) for place, name in named if name is not None]
