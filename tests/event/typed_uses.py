"""Right and wrong ways to define events: each `type: ignore` is where a checker must object."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from decimal import Decimal
from typing import assert_type
from uuid import UUID

from dashtam_events.declaration import Audit, EventSpec, Phase
from dashtam_events.event import DomainEvent, event, spec_of
from dashtam_events.privacy import personal, secret
from dashtam_events.recorded import EventMetadata, RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry


@event
class AccountOpened(DomainEvent):
    account_id: UUID
    balance: Decimal = Decimal(0)
    holder: str | None = personal(default=None)
    pin: str | None = secret(default=None)


@event(category="accounts", phase=Phase.SUCCEEDED, audit=Audit("CLOSED", resource="account"))
class AccountClosed(DomainEvent):
    user_id: UUID
    reason: str


def right(some_id: UUID, recorded: RecordedEvent[AccountOpened]) -> None:
    opened = AccountOpened(account_id=some_id, holder="x")
    assert_type(opened, AccountOpened)
    assert_type(opened.event_id, UUID)
    assert_type(opened.balance, Decimal)
    assert_type(opened.holder, str | None)
    assert_type(recorded.event, AccountOpened)
    assert_type(spec_of(AccountClosed), EventSpec)
    assert_type(EventRegistry().register(AccountClosed), type[AccountClosed])
    assert_type(EventMetadata().following(opened), EventMetadata)
    assert_type(StreamId.parse("account-1"), StreamId)
    assert_type(AccountClosed(user_id=some_id, reason="", event_id=some_id), AccountClosed)


def wrong(some_id: UUID) -> None:
    AccountOpened()  # type: ignore[call-arg]  # a field is missing
    AccountOpened(acount_id=some_id)  # type: ignore[call-arg]  # misspelt
    AccountOpened(account_id="1")  # type: ignore[arg-type]  # of another type
    AccountOpened(some_id)  # type: ignore[call-arg]  # fields are keyword-only
    AccountClosed(user_id=some_id)  # type: ignore[call-arg]  # the same with arguments to @event
    opened = AccountOpened(account_id=some_id)
    opened.balance = Decimal(1)  # type: ignore[misc]  # fields are read-only
    opened.event_id = some_id  # type: ignore[misc]  # the inherited ones too
    event(nmae="x")  # type: ignore[call-overload]  # a misspelt declaration
    event(version="1")  # type: ignore[call-overload]  # one of another type
    event(int)  # type: ignore[type-var]  # no event
