"""Events whose private values can be recognised wherever they turn up."""

import types
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args, get_origin
from uuid import uuid4

from dashtam_events.declaration import FieldSpec, Privacy
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.recorded import EventMetadata

SECRET = "canary-secret"
PERSONAL = "canary-personal"
ADDRESS = f"{PERSONAL}@example.com"
METADATA = EventMetadata(
    correlation_id="request-7",
    causation_id=uuid4(),
    actor=f"{PERSONAL}-actor",
    ip_address=f"{PERSONAL}-address",
    user_agent=f"{PERSONAL}-agent",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    span_id="00f067aa0ba902b7",
    extras={"note": "public-note"},
)

_PLAIN: Mapping[Any, Any] = {
    bool: True,
    int: 7,
    float: 0.5,
    Decimal: Decimal("7.50"),
    datetime: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
}


def marked(cls: type[DomainEvent], **given: Any) -> Any:
    """An event of any class, with every field filled and every private value marked."""
    values = {field.name: _value(field) for field in spec_of(cls).fields}
    return cls(**values | given)


def _value(field: FieldSpec) -> Any:
    kind = next((arg for arg in get_args(field.type) if arg is not types.NoneType), field.type)
    kind = field.type if get_origin(field.type) is Mapping else kind
    if field.privacy is Privacy.SECRET:
        return f"{SECRET}-{field.name}"
    text = {Privacy.PERSONAL: ADDRESS if field.name == "email" else f"{PERSONAL}-{field.name}"}.get(
        field.privacy, f"public-{field.name}"
    )
    if get_origin(kind) is Mapping:
        return {"detail": text}
    if kind is str:
        return text
    return _PLAIN[kind] if kind in _PLAIN else uuid4()
