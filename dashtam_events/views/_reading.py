"""Asking a view, wherever the caller stands: on an engine, a connection or a session."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Executable, Result, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

__all__ = ["Readable", "rows"]

Readable = AsyncEngine | AsyncConnection | AsyncSession
"""An engine, of which a query takes a connection, or what the caller has open."""


async def rows(source: Readable, query: Executable) -> Sequence[RowMapping]:
    """The rows of a query by the names of their columns."""
    if isinstance(source, AsyncEngine):
        async with source.connect() as connection:
            return await rows(connection, query)
    found: Result[Any] = await source.execute(query)
    return found.mappings().all()
