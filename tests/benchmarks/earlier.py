"""Reading an event that was written before its class changed: by hand, and ours.

Today's class has one field more. Either it has a default, or an upcaster puts it in.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import msgspec

from dashtam_events import DomainEvent, EventRegistry, event
from dashtam_events.codec import EventCodec
from tests.benchmarks.limit import Plain
from tests.benchmarks.workload import BENCH, FIELDS, ConnectionSynced, timed

__all__ = ["by_hand", "ours", "upcast_by_hand", "upcast_ours"]


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


_STORED = EventCodec(BENCH).encode(ConnectionSynced(**FIELDS))  # type: ignore[arg-type]  # a dict of mixed values


def by_hand(times: int) -> float:
    """`msgspec` puts the default in."""
    read = msgspec.json.Decoder(_PlainGrown).decode
    with timed(times) as cost:
        for _ in range(times):
            read(_STORED.data)
    return cost[0]


def upcast_by_hand(times: int) -> float:
    """JSON is read as a dict, which `msgspec` converts when it has the field."""
    read = msgspec.json.Decoder(dict[str, Any]).decode
    with timed(times) as cost:
        for _ in range(times):
            msgspec.convert(_with_region(read(_STORED.data)), _PlainGrown)
    return cost[0]


def ours(times: int) -> float:
    """`EventCodec.decode`, where the field has a default."""
    return _decoded(_Grown, times)


def upcast_ours(times: int) -> float:
    """`EventCodec.decode`, where the class has an upcaster."""
    return _decoded(_Upcast, times)


def _decoded(cls: type[DomainEvent], times: int) -> float:
    codec = EventCodec(EventRegistry([cls]))
    codec.decode(_STORED)
    with timed(times) as cost:
        for _ in range(times):
            codec.decode(_STORED)
    return cost[0]
