"""Readings of an event that was written before its class changed: by hand, and ours.

Today's class has one field more. Either it has a default, or an upcaster puts it in.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import msgspec

from dashtam_events import DomainEvent, EventRegistry, event
from tests.benchmarks.limit import Plain

__all__ = ["GROWN", "UPCAST", "grown_by_hand", "upcast_by_hand"]


@attrs.frozen(kw_only=True, slots=True)
class _PlainGrown(Plain):
    region: str = ""


def _with_region(raw: dict[str, Any]) -> dict[str, Any]:
    return {**raw, "region": ""}


@event(name="ConnectionSynced", category="bench")
class _Grown(DomainEvent):
    connection_id: UUID
    provider_slug: str
    balance: Decimal
    synced_at: datetime
    note: str
    region: str = ""


@event(name="ConnectionSynced", category="bench", version=2, upcasters={1: _with_region})
class _Upcast(DomainEvent):
    connection_id: UUID
    provider_slug: str
    balance: Decimal
    synced_at: datetime
    note: str
    region: str


GROWN, UPCAST = EventRegistry([_Grown]), EventRegistry([_Upcast])

grown_by_hand: Callable[[bytes], object] = msgspec.json.Decoder(_PlainGrown).decode
"""`msgspec` puts the default in."""

_as_dict = msgspec.json.Decoder(dict[str, Any]).decode


def upcast_by_hand(data: bytes) -> object:
    """JSON is read as a dict, which `msgspec` converts when it has the field."""
    return msgspec.convert(_with_region(_as_dict(data)), _PlainGrown)
