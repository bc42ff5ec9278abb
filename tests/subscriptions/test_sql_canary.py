"""What a database quotes of a statement's values is not in our error, nor in its chain."""

from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dashtam_events.subscriptions import CheckpointUnavailable
from dashtam_events.subscriptions.errors import InboxUnavailable
from dashtam_events.subscriptions.sql import Inbox, create_subscription_tables
from dashtam_events.subscriptions.sql.schema import unavailable
from tests.canary import MARK, assert_silent


def _assert_alone(error: BaseException) -> None:
    assert_silent(error)
    assert error.__cause__ is None
    assert error.__context__ is None


async def test_a_checkpoint_that_cannot_be_reached(engine: AsyncEngine) -> None:
    with pytest.raises(CheckpointUnavailable) as caught:
        async with unavailable("guests"), engine.begin() as connection:
            await connection.execute(text("DELETE FROM absent WHERE n = :n"), {"n": MARK})
    _assert_alone(caught.value)


async def test_an_inbox_that_cannot_be_reached(engine: AsyncEngine) -> None:
    await create_subscription_tables(engine)
    async with engine.connect() as connection:
        await connection.execute(text("ALTER TABLE event_inbox RENAME COLUMN consumer TO whose"))
        with pytest.raises(InboxUnavailable) as caught:
            await Inbox("guests").claim(connection, uuid4())
    _assert_alone(caught.value)
