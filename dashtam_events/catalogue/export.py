"""A registry told as plain data, for people and programs that do not import the classes."""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from dashtam_events.declaration import SSE, Audit, Email, EventSpec, FieldSpec, Privacy
from dashtam_events.event import DomainEvent
from dashtam_events.registry import EventRegistry

__all__ = ["describe"]


def describe(registry: EventRegistry) -> dict[str, dict[str, Any]]:
    """Every event of a registry by its stored name, in the order of registration.

    All of it is text, numbers, booleans, None, lists and dicts, so it goes into JSON as it is.
    Of each event: `module`, `category`, `workflow`, `phase`, `fields` (with `type`, `privacy`
    where they are not public, and `default` where a value may be left out), `log_level`, `audit`,
    `email`, `ends_sessions` and `sse`; None where the event asks for nothing of the kind.
    """
    return {registry.spec_of(cls).name: _event(cls, registry.spec_of(cls)) for cls in registry}


def _event(cls: type[DomainEvent], spec: EventSpec) -> dict[str, Any]:
    return {
        "module": _module(cls),
        "category": spec.category,
        "workflow": spec.workflow,
        "phase": None if spec.phase is None else str(spec.phase),
        "fields": [_field(field) for field in spec.fields],
        "log_level": str(spec.log_level),
        "audit": None if spec.audit is None else _audit(spec.audit),
        "email": None if spec.email is None else _email(spec.email),
        "ends_sessions": spec.ends_sessions,
        "sse": None if spec.sse is None else _sse(spec.sse),
    }


def _module(cls: type) -> str:
    """The last public part of the module's path: where a reader would look for the class."""
    public = [part for part in cls.__module__.split(".") if not part.startswith("_")]
    return public[-1] if public else cls.__module__


def _field(field: FieldSpec) -> dict[str, str]:
    described = {"name": field.name, "type": _type(field.type)}
    if field.privacy is not Privacy.PUBLIC:
        described["privacy"] = field.privacy.value
    if not field.required:
        described["default"] = repr(field.default)
    return described


def _audit(audit: Audit) -> dict[str, str | None]:
    return {
        "action": audit.action,
        "resource_type": audit.resource,
        "user_id": audit.user_id,
        "resource_id": audit.resource_id,
    }


def _email(email: Email) -> dict[str, str | None]:
    return {"when": email.when}


def _sse(sse: SSE) -> dict[str, Any]:
    return {"type": str(sse.type), "payload": dict(sse.payload)}


def _type(annotation: Any) -> str:
    """An annotation as it would be written, without module paths; a Mapping reads as a dict."""
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation is NoneType:
        return "None"
    if origin in (Union, UnionType):
        return " | ".join(_type(arg) for arg in args)
    if origin is Annotated:
        return _type(args[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    return _plain(origin or annotation) + _parameters(args)


def _plain(kind: Any) -> str:
    if kind is Mapping:
        return "dict"
    return "..." if kind is Ellipsis else getattr(kind, "__qualname__", str(kind))


def _parameters(args: tuple[Any, ...]) -> str:
    return f"[{', '.join(_type(arg) for arg in args)}]" if args else ""
