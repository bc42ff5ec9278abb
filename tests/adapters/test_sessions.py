"""Sessions end where an event says so, and only then."""

from typing import Any
from uuid import UUID

import pytest

from dashtam_events import DomainEvent, event
from dashtam_events.adapters.sessions import SessionEndingHandler
from dashtam_events.bus.protocol import EventContext
from dashtam_events.catalogue import (
    CATALOGUE,
    PasswordResetConfirmSucceeded,
    UserLogoutSucceeded,
    UserPasswordChangeSucceeded,
)
from dashtam_events.errors import InvalidEventClass
from tests.adapters.marked import marked

CONTEXT = EventContext()
ENDING = (UserPasswordChangeSucceeded, UserLogoutSucceeded, PasswordResetConfirmSucceeded)


class Ledger:
    """An ender that writes down what it is asked."""

    def __init__(self) -> None:
        self.ended: list[tuple[Any, Any, str]] = []

    async def end_sessions(self, subject: UUID, *, session_id: UUID | None, reason: str) -> None:
        self.ended.append((subject, session_id, reason))


def test_these_events_of_the_catalogue_end_sessions() -> None:
    assert CATALOGUE.select(lambda spec: spec.ends_sessions) == ENDING


@pytest.mark.parametrize(
    ("cls", "reason"),
    [
        (UserPasswordChangeSucceeded, "user_password_change_succeeded"),
        (PasswordResetConfirmSucceeded, "password_reset_confirm_succeeded"),
    ],
)
async def test_a_new_password_ends_all_sessions(cls: type[DomainEvent], reason: str) -> None:
    ledger, fact = Ledger(), marked(cls)
    await SessionEndingHandler(ledger)(fact, CONTEXT)
    assert ledger.ended == [(fact.user_id, None, reason)]


async def test_a_logout_ends_the_session_that_it_names() -> None:
    ledger, fact = Ledger(), marked(UserLogoutSucceeded)
    await SessionEndingHandler(ledger)(fact, CONTEXT)
    assert ledger.ended == [(fact.user_id, fact.session_id, "user_logout_succeeded")]


async def test_a_logout_that_names_none_ends_all() -> None:
    ledger, fact = Ledger(), marked(UserLogoutSucceeded, session_id=None)
    await SessionEndingHandler(ledger)(fact, CONTEXT)
    assert ledger.ended == [(fact.user_id, None, "user_logout_succeeded")]


@pytest.mark.parametrize(
    "cls", [cls for cls in CATALOGUE if cls not in ENDING], ids=lambda cls: cls.__name__
)
async def test_no_other_event_ends_any(cls: type[DomainEvent]) -> None:
    ledger = Ledger()
    await SessionEndingHandler(ledger)(marked(cls), CONTEXT)
    assert ledger.ended == []


async def test_what_the_ender_raises_is_not_hidden() -> None:
    class Broken:
        async def end_sessions(self, subject: Any, *, session_id: Any, reason: str) -> None:
            raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        await SessionEndingHandler(Broken())(marked(UserLogoutSucceeded), CONTEXT)


@event(ends_sessions=True, subject="member")
class MemberExpelled(DomainEvent):
    """A member is none any more."""

    member: str | None


@event(ends_sessions=True)
class DoorsClosed(DomainEvent):
    """Nobody says whose sessions end."""


async def test_an_event_of_ones_own_ends_those_of_its_subject() -> None:
    ledger = Ledger()
    await SessionEndingHandler(ledger)(MemberExpelled(member="ann"), CONTEXT)
    assert ledger.ended == [("ann", None, "member_expelled")]


@pytest.mark.parametrize("fact", [MemberExpelled(member=None), DoorsClosed()])
async def test_sessions_of_nobody_cannot_end(fact: DomainEvent) -> None:
    ledger = Ledger()
    with pytest.raises(InvalidEventClass, match="name whose"):
        await SessionEndingHandler(ledger)(fact, CONTEXT)
    assert ledger.ended == []
