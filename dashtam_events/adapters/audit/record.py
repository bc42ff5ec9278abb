"""What the audit trail keeps of an event, and the bytes that its hash stands for. It is pure."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any

import attrs

from dashtam_events.declaration import Audit, EventSpec, Phase, Privacy
from dashtam_events.event import DomainEvent
from dashtam_events.privacy import personal, redact
from dashtam_events.recorded import EventMetadata

__all__ = ["AuditRecord", "canonical_bytes", "canonical_json", "leaf_hash", "record_of"]

SYSTEM, UNKNOWN = "system", "unknown"
_OUTCOMES: Mapping[Phase | None, str] = {
    Phase.ATTEMPTED: "attempted",
    Phase.SUCCEEDED: "success",
    Phase.FAILED: "failure",
    Phase.ALLOWED: "allowed",
    Phase.DENIED: "denied",
}
_LONGEST = 1_000
_NOT_HASHED = frozenset({"id", "leaf_hash", "personal"})


@attrs.frozen(kw_only=True)
class AuditRecord:
    """One row of the audit trail.

    Who (`actor`), what (`action`), when (`occurred_at`), with what `outcome`, from where
    (`ip_address`) and on what (`resource_type`, `resource_id`) are never None (PCI DSS 4.0,
    10.2.2): they say `system` or `unknown` where it is so. `outcome` is attempted, success,
    failure, allowed or denied, and `recorded` for a fact that is none of these.

    `context` is canonical JSON: the public fields of the event, and its `event_id`. `personal`
    is JSON of its personal fields, where they are kept apart and not erased;
    `personal_digest` vouches for it. `id` orders the table, and is None before it is written.
    """

    id: int | None = None
    recorded_at: datetime
    occurred_at: datetime
    event_id: str
    action: str
    outcome: str
    actor: str = personal()
    user_id: str
    resource_type: str
    resource_id: str
    ip_address: str = personal()
    user_agent: str | None = personal(default=None)
    correlation_id: str | None = None
    trace_id: str | None = None
    context: str
    personal_digest: str | None = None
    leaf_hash: str = ""
    personal: str | None = personal(default=None)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in redact(self).items())
        return f"AuditRecord({shown})"


def record_of(
    event: DomainEvent,
    *,
    spec: EventSpec,
    audit: Audit,
    metadata: EventMetadata,
    recorded_at: datetime,
    salt: str | None = None,
) -> AuditRecord:
    """The record of an event, with its hash; `salt` (random) keeps the personal fields too.

    Personal fields come to no column but `personal`, secrets to none.
    """
    user_id = _text_of(event, audit.user_id)
    nobody = _nobody(spec, metadata)
    apart = None if salt is None else _personal(event, spec, salt)
    record = AuditRecord(
        recorded_at=recorded_at,
        occurred_at=event.occurred_at,
        event_id=str(event.event_id),
        action=audit.action,
        outcome=_OUTCOMES.get(spec.phase, "recorded"),
        actor=_clean(metadata.actor) or user_id or nobody,
        user_id=user_id or nobody,
        resource_type=audit.resource,
        resource_id=_text_of(event, audit.resource_id) or UNKNOWN,
        ip_address=_clean(metadata.ip_address) or nobody,
        user_agent=_clean(metadata.user_agent),
        correlation_id=_clean(metadata.correlation_id),
        trace_id=_clean(metadata.trace_id),
        context=_context(event, spec, audit),
        personal_digest=apart and hashlib.sha256(apart.encode()).hexdigest(),
        personal=apart,
    )
    return attrs.evolve(record, leaf_hash=leaf_hash(record))


def canonical_bytes(record: AuditRecord) -> bytes:
    """What the leaf hash of a record is taken of, the same before it is written and after.

    JSON with sorted keys and no blanks, in UTF-8; times in UTC to the microsecond. All columns
    count but `id`, which the database gives, and the hash itself. Of personal fields it holds
    only a digest, with a salt that is erased with them, so that the hash outlives them.
    """
    told = attrs.asdict(record, filter=lambda field, _value: field.name not in _NOT_HASHED)
    return canonical_json(told).encode()


def leaf_hash(record: AuditRecord) -> str:
    """The hash of a leaf of a Merkle tree (RFC 6962, 2.1: SHA-256 over 0x00 and the bytes)."""
    return hashlib.sha256(b"\x00" + canonical_bytes(record)).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON in one form only: the same value, the same text."""
    plain = _plain(value)
    return json.dumps(
        plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, Mapping):
        return {_storable(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return format(value, "f") if isinstance(value, Decimal) else _storable(str(value))


def _context(event: DomainEvent, spec: EventSpec, audit: Audit) -> str:
    told = {audit.user_id, audit.resource_id}
    shown = redact(event)
    names = [name for name in spec.fields_of(Privacy.PUBLIC) if name not in told]
    return canonical_json({name: shown[name] for name in names} | {"event_id": event.event_id})


def _personal(event: DomainEvent, spec: EventSpec, salt: str) -> str | None:
    names = spec.fields_of(Privacy.PERSONAL)
    if not names:
        return None
    return canonical_json({name: getattr(event, name) for name in names} | {"_salt": salt})


def _nobody(spec: EventSpec, metadata: EventMetadata) -> str:
    """Who acted where no one is named: a person that is not known, or the service itself."""
    private = any(field.privacy is not Privacy.PUBLIC for field in spec.fields)
    return UNKNOWN if private or metadata.ip_address else SYSTEM


def _text_of(event: DomainEvent, field: str | None) -> str | None:
    value = None if field is None else getattr(event, field)
    return None if value is None else _clean(str(value))


def _clean(text: str | None) -> str | None:
    """Text from outside in a length and in characters that every database takes."""
    return _storable(text[:_LONGEST]) if text else None


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
