"""What the driver says while it connects is an error of the database like any other."""

import pytest
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from dashtam_events.adapters.audit import AuditLog
from dashtam_events.bus.session import refused_as_dbapi
from dashtam_events.errors import AuditUnreadable
from dashtam_events.subscriptions import CheckpointUnavailable
from dashtam_events.subscriptions.sql import SQLCheckpointStore


@pytest.fixture
def absent(postgres: URL) -> URL:
    """A database that is not there."""
    return postgres.set(database="absent")


async def test_a_database_that_refuses_to_connect_is_an_error_of_dbapi(absent: URL) -> None:
    engine = create_async_engine(absent, poolclass=NullPool)
    with pytest.raises(DBAPIError), refused_as_dbapi():
        await engine.connect()


def test_all_else_passes_as_it_is() -> None:
    with pytest.raises(KeyError), refused_as_dbapi():
        raise KeyError("mine")


async def test_checkpoints_cannot_be_reached_there(absent: URL) -> None:
    engine = create_async_engine(absent, poolclass=NullPool)
    with pytest.raises(CheckpointUnavailable):
        await SQLCheckpointStore(engine).load("greetings")


async def test_nor_can_an_audit_trail(absent: URL) -> None:
    engine = create_async_engine(absent, poolclass=NullPool)
    with pytest.raises(AuditUnreadable):
        await AuditLog(engine).page()
