"""The rival: `eventsourcing` with its PostgreSQL module, over psycopg with its C library."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.persistence import Tracking, TrackingRecorder
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier

from tests.benchmarks.postgres.server import address, new_schema
from tests.benchmarks.rival import RivalConnection, sync
from tests.benchmarks.workload import timed

__all__ = ["append", "project"]


def _environment() -> dict[str, str]:
    """As its documentation advises for speed: an insert function, and no ping before each use."""
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


class Connections(Application[UUID]):
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
    with _application(_environment()) as application:
        connection = RivalConnection(provider_slug="schwab")
        application.save(connection)
        with timed(saves * per_save) as cost:
            for _ in range(saves):
                sync(connection, per_save)
                application.save(connection)
    return cost[0]


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
    """Counts what its application records."""

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        provider = getattr(domain_event, "provider_slug", "")
        self.view.count(provider, tracking)


def project(events: int) -> float:
    """Its `ProjectionRunner`, from the first event to the last."""
    Connections.name = new_schema("rival")
    SyncsProjection.name = new_schema("syncs")
    environment = _environment()
    with _application(environment) as application:
        connection = RivalConnection(provider_slug="schwab")
        sync(connection, events - 1)
        for recording in application.save(connection)[-1:]:
            last = recording.notification.id
    with (
        timed(events) as cost,
        ProjectionRunner(
            application_class=Connections,
            projection_class=SyncsProjection,
            view_class=PostgresSyncsView,
            env=environment,
        ) as runner,
    ):
        runner.wait(last, timeout=60)
    return cost[0]
