"""The event store of many processes: one PostgreSQL database. It needs the extra `postgres`."""

from importlib.util import find_spec

from dashtam_events.errors import MissingExtra

if find_spec("asyncpg") is None:
    raise MissingExtra("postgres")

from dashtam_events.store.postgres._migrating import Migration, migrate
from dashtam_events.store.postgres._store import PostgresEventStore
from dashtam_events.store.postgres._within import TransactionStore

__all__ = ["Migration", "PostgresEventStore", "TransactionStore", "migrate"]
