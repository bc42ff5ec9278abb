"""The rival: `eventsourcing` with its PostgreSQL module, over psycopg with its C library.

Events and application are those of its other rows. The settings are those of the speed runs in its
documentation: a function in the database inserts, and one connection is kept, so that its
statements stay prepared. That function takes no lock; without it the table would be locked, which
keeps positions in the order of commits, and takes twice the time.
"""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.persistence import Tracking, TrackingRecorder
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier

from tests.benchmarks.postgres.server import address, new_schema
from tests.benchmarks.rival import fill, saved
from tests.benchmarks.rival_model import RivalApplication
from tests.benchmarks.workload import timed

__all__ = ["append", "project"]

_WARM_UP = 20
_PATIENCE = 60
_ONE_CONNECTION = {"POSTGRES_POOL_SIZE": "1", "POSTGRES_MAX_OVERFLOW": "0"}


def _environment() -> dict[str, str]:
    parts = urlsplit(address())
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": "postgres",
        "POSTGRES_HOST": parse_qs(parts.query)["host"][0],
        "POSTGRES_USER": "postgres",
        "POSTGRES_PASSWORD": "",
        "POSTGRES_PRE_PING": "no",
        "POSTGRES_ENABLE_DB_FUNCTIONS": "yes",
    }


class Connections(RivalApplication):
    """An application whose tables are new in each sample."""


@contextmanager
def _application(environment: dict[str, str]) -> Iterator[Connections]:
    application = Connections(env=environment)
    try:
        yield application
    finally:
        application.close()


def append(saves: int, per_save: int) -> float:
    """`Application.save`, one a batch of events."""
    Connections.name = new_schema("rival")
    with _application(_environment() | _ONE_CONNECTION) as application:
        return saved(application, saves, per_save)


class SyncsView(TrackingRecorder):
    """How often each provider was synced."""

    @abstractmethod
    def count(self, provider: str, tracking: Tracking) -> None:
        """One more, together with the position."""


class PostgresSyncsView(PostgresTrackingRecorder, SyncsView):
    """That in a table of PostgreSQL."""

    def __init__(self, datastore: PostgresDatastore, **options: Any) -> None:
        super().__init__(datastore, **options)
        table = Identifier(f"{self.tracking_table_name}_syncs")
        self.sql_create_statements.append(
            SQL("CREATE TABLE IF NOT EXISTS {} (provider text PRIMARY KEY, number integer)").format(
                table
            )
        )
        self._upsert = SQL(
            "INSERT INTO {0} VALUES (%s, 1)"
            " ON CONFLICT (provider) DO UPDATE SET number = {0}.number + 1"
        ).format(table)

    def count(self, provider: str, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self._upsert, (provider,), prepare=True)


class SyncsProjection(Projection[SyncsView]):
    """Counts what its application records, and tells when it has come to some positions."""

    awaited: ClassVar[dict[int, Event]] = {}

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        provider = getattr(domain_event, "provider_slug", "")
        self.view.count(provider, tracking)
        if reached := self.awaited.get(tracking.notification_id):
            reached.set()


def project(events: int) -> float:
    """Its `ProjectionRunner`, when it has started and is under way, up to the last event."""
    Connections.name = new_schema("rival")
    SyncsProjection.name = new_schema("syncs")
    environment = _environment()
    with _application(environment) as application:
        _, last = fill(application, _WARM_UP + events)
    begun, ended = Event(), Event()
    SyncsProjection.awaited = {last - events: begun, last: ended}
    with ProjectionRunner(
        application_class=Connections,
        projection_class=SyncsProjection,
        view_class=PostgresSyncsView,
        env=environment,
    ):
        assert begun.wait(_PATIENCE)
        with timed(events) as cost:
            assert ended.wait(_PATIENCE)
    return cost[0]
