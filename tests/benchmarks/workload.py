"""The work: a connection, one start event and many sync events of five domain fields."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from uuid import UUID, uuid4

from dashtam_events import Aggregate, DomainEvent, EventRegistry, applies, event

__all__ = [
    "BENCH",
    "FIELDS",
    "REBUILDS",
    "Connection",
    "ConnectionStarted",
    "ConnectionSynced",
    "count_processor_time",
    "counted_too",
    "counts_processor_time",
    "scratch",
    "timed",
]

PROVIDER = UUID("8c0f5d5e-5b0f-4a52-9f6b-2f3b1c6a7d10")
SYNCED_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FIELDS = {
    "connection_id": PROVIDER,
    "provider_slug": "schwab",
    "balance": Decimal("1234.56"),
    "synced_at": SYNCED_AT,
    "note": "nightly sync, nothing unusual",
}
"""The arguments of one sync event: UUID, str, Decimal, datetime, str."""


@event(category="bench")
class ConnectionStarted(DomainEvent):
    """The first event of a stream."""

    provider_slug: str


@event(category="bench")
class ConnectionSynced(DomainEvent):
    """The event that is measured."""

    connection_id: UUID
    provider_slug: str
    balance: Decimal
    synced_at: datetime
    note: str


REBUILDS = 20
"""How often an aggregate is rebuilt in a sample, over one connection."""
BENCH = EventRegistry([ConnectionStarted, ConnectionSynced])


class Connection(Aggregate, stream="bench"):
    """The aggregate that is rebuilt."""

    syncs: int = 0
    balance: Decimal = Decimal(0)

    @classmethod
    def start(cls) -> "Connection":
        """A new connection with its start event pending."""
        connection = cls(uuid4())
        connection.record(ConnectionStarted(provider_slug="schwab"))
        return connection

    def sync(self) -> None:
        """Record one sync."""
        self.record(ConnectionSynced(**FIELDS))  # type: ignore[arg-type]  # a dict of mixed values

    @applies(ConnectionStarted)
    def _started(self, event: ConnectionStarted) -> None:
        self.provider_slug = event.provider_slug

    @applies(ConnectionSynced)
    def _synced(self, event: ConnectionSynced) -> None:
        self.syncs += 1
        self.balance = event.balance


@contextmanager
def scratch() -> Iterator[Path]:
    """A fresh directory for one sample."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


class _Clock:
    """What samples are timed by: seconds as they pass, or those of this process's processors."""

    now = staticmethod(perf_counter)
    elsewhere = staticmethod(lambda: 0.0)


def count_processor_time() -> None:
    """From now on what others do on the machine counts less, and waiting not at all."""
    _Clock.now = staticmethod(process_time)


def counts_processor_time() -> bool:
    """True from then on."""
    return _Clock.now is process_time


@contextmanager
def counted_too(elsewhere: Callable[[], float]) -> Iterator[None]:
    """While processor time is counted, so are these seconds, which another process has used."""
    before = _Clock.elsewhere
    if counts_processor_time():
        _Clock.elsewhere = staticmethod(elsewhere)
    try:
        yield
    finally:
        _Clock.elsewhere = staticmethod(before)


@contextmanager
def timed(items: int) -> Iterator[list[float]]:
    """Microseconds an item of the block, as the only element of the list, when it has ended."""
    taken: list[float] = []
    elsewhere = _Clock.elsewhere()  # first, and last: to look takes a while
    begun = _Clock.now()
    yield taken
    here = _Clock.now() - begun
    taken.append((here + _Clock.elsewhere() - elsewhere) / items * 1e6)
