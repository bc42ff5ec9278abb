"""What the tests of the audit trail share: both databases, with its tables in them."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from dashtam_events.adapters.audit import AuditLog, create_audit_tables
from tests.databases import engine, postgres

__all__ = ["engine", "postgres", "trail"]


@pytest.fixture
async def trail(engine: AsyncEngine) -> AuditLog:
    """The trail of a database, still without a record."""
    await create_audit_tables(engine)
    return AuditLog(engine)
