"""A service's own events and aggregate, in one store and on one bus with those of the catalogue."""

import asyncio
import tempfile
from pathlib import Path
from uuid import UUID, uuid4

from dashtam_events import (
    CATALOGUE,
    Aggregate,
    Audit,
    DomainEvent,
    EventContext,
    EventRegistry,
    InMemoryEventBus,
    Repository,
    SQLiteEventStore,
    StreamId,
    applies,
    event,
    personal,
)


@event
class AccountCreated(DomainEvent):
    """An account was opened; `owner_name` is masked wherever it is shown."""

    account_id: UUID
    owner_name: str = personal()


@event(audit=Audit("ACCOUNT_CLOSED", resource="account", resource_id="account_id"))
class AccountClosed(DomainEvent):
    """An account was closed, for good; `reason` is `by_owner` or `by_bank`."""

    account_id: UUID
    reason: str


class Account(Aggregate, stream="account"):
    """Commands decide and record; the methods marked with `applies` are all that changes it."""

    is_open = False

    def create(self, owner_name: str) -> None:
        """Open the account."""
        self.record(AccountCreated(account_id=self.id, owner_name=owner_name))

    def close(self, reason: str) -> bool:
        """Close the account; False, and nothing recorded, where it is closed already."""
        was_open = self.is_open
        if was_open:
            self.record(AccountClosed(account_id=self.id, reason=reason))
        return was_open

    @applies(AccountCreated)
    def _created(self, _event: AccountCreated) -> None:
        self.is_open = True

    @applies(AccountClosed)
    def _closed(self, _event: AccountClosed) -> None:
        self.is_open = False


async def tell_the_owner(event: AccountClosed, context: EventContext) -> None:
    """A handler that wants to know the circumstances as well."""
    print(f"heard: closed {event.reason}, asked for by {context.metadata.extras['channel']}")


def close(account: Account) -> bool:
    """A decision for `execute`, which makes it again should somebody else have been faster."""
    return account.close("by_owner")


OURS = EventRegistry([AccountCreated, AccountClosed])


async def main(folder: Path) -> None:
    """Open an account and close it, twice."""
    registry = CATALOGUE | OURS
    print(f"known: {len(registry)} events, {len(OURS)} of them our own")
    bus = InMemoryEventBus()
    bus.subscribe(AccountClosed, tell_the_owner)
    async with SQLiteEventStore(folder / "events.db", registry=registry) as store:
        accounts = Repository(store, Account)
        account = Account(uuid4())
        account.create("Ada Lovelace")
        await accounts.save(account)
        for _ in range(2):
            closed = await accounts.execute(account.id, close, metadata={"channel": "app"})
            print("closed" if closed else "closed already: nothing recorded")
        async for recorded in store.read_stream(StreamId("account", account.id)):
            print(f"stored: version {recorded.version} {recorded.event}")
            await bus.publish(recorded.event, recorded=recorded)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
