"""Aggregates come back as they were saved, and a conflict loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from returns.result import Failure, Result, Success

from dashtam_events.aggregate import Aggregate
from dashtam_events.errors import (
    AggregateNotFound,
    StoreUnavailable,
    UnappliedEvent,
    VersionConflict,
)
from dashtam_events.recorded import StreamId
from dashtam_events.repository import Repository
from dashtam_events.store import EventStore, InMemoryEventStore
from tests.aggregate.accounts import REGISTRY, Account, Deposited, Renamed, Withdrawn
from tests.repository.meddling import Clock, MeddledStore, Meddler, opened

ID = UUID(int=7)
START = datetime(2025, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture(params=["memory", "sqlite"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> AsyncIterator[MeddledStore]:
    async with opened(request.param, tmp_path, REGISTRY, clock) as store:
        yield store


@pytest.fixture
def accounts(store: EventStore) -> Repository[Account]:
    return Repository(store, Account)


def _elsewhere(accounts: Repository[Account], change: Callable[[Account], object]) -> Meddler:
    """Somebody else, who loads, changes and saves behind our back."""

    async def meddle() -> None:
        account = await accounts.get(ID)
        change(account)
        await accounts.save(account)

    return meddle


async def _opened(accounts: Repository[Account], *amounts: int) -> Account:
    account = Account(ID)
    for amount in amounts:
        account.deposit(Decimal(amount))
    await accounts.save(account)
    return account


async def test_what_was_saved_comes_back(accounts: Repository[Account]) -> None:
    account = await _opened(accounts, 5, 3)
    assert (account.version, account.pending_events) == (2, ())
    again = await accounts.get(ID)
    assert again.same_state_as(account)
    assert again is not account


async def test_save_tells_what_was_stored_and_nothing_where_nothing_was(
    accounts: Repository[Account],
) -> None:
    account = Account(ID)
    account.deposit(Decimal(5))
    pending = account.pending_events
    result = await accounts.save(account, metadata={"actor": "teller"})
    assert result is not None
    assert tuple(recorded.event for recorded in result.recorded) == pending
    assert (result.version, result.recorded[0].metadata.actor) == (1, "teller")
    assert await accounts.save(account) is None


async def test_what_was_never_saved_is_not_found(accounts: Repository[Account]) -> None:
    with pytest.raises(AggregateNotFound) as caught:
        await accounts.get(ID)
    assert caught.value.stream == f"account-{ID}"
    with pytest.raises(AggregateNotFound):
        await accounts.execute(ID, lambda account: account.deposit(Decimal(1)))


async def test_nobody_creates_an_aggregate_twice(accounts: Repository[Account]) -> None:
    await _opened(accounts, 5)
    second = Account(ID)
    second.deposit(Decimal(1))
    with pytest.raises(VersionConflict):
        await accounts.save(second)
    assert (await accounts.get(ID)).balance == 5


async def test_a_version_is_seen_as_it_stood(accounts: Repository[Account]) -> None:
    await _opened(accounts, 1, 2, 4)
    seen = [(await accounts.get(ID, at_version=version)).balance for version in (1, 2, 3, 9)]
    assert seen == [1, 3, 7, 7]


async def test_a_time_is_seen_as_it_stood(accounts: Repository[Account], clock: Clock) -> None:
    account = await _opened(accounts, 1)
    clock.time += MINUTE
    account.deposit(Decimal(2))
    await accounts.save(account)
    assert (await accounts.get(ID, at_time=START)).balance == 1
    assert (await accounts.get(ID, at_time=START + MINUTE / 2)).balance == 1
    assert (await accounts.get(ID, at_time=START + MINUTE)).balance == 3
    with pytest.raises(AggregateNotFound):
        await accounts.get(ID, at_time=START - MINUTE)


async def test_a_version_and_a_time_must_both_hold(
    accounts: Repository[Account], clock: Clock
) -> None:
    account = await _opened(accounts, 1, 2)
    clock.time += MINUTE
    account.deposit(Decimal(4))
    await accounts.save(account)
    assert (await accounts.get(ID, at_version=1, at_time=START)).balance == 1
    assert (await accounts.get(ID, at_version=3, at_time=START)).balance == 3


async def test_a_past_that_cannot_be_is_refused(accounts: Repository[Account]) -> None:
    await _opened(accounts, 1)
    with pytest.raises(ValueError, match="at_version is a number of events, from 1"):
        await accounts.get(ID, at_version=0)
    with pytest.raises(ValueError, match="at_time must be aware"):
        await accounts.get(ID, at_time=START.replace(tzinfo=None))


async def test_after_a_conflict_the_events_are_still_pending(
    accounts: Repository[Account],
) -> None:
    account = await _opened(accounts, 5)
    await _elsewhere(accounts, lambda it: it.deposit(Decimal(1)))()
    account.deposit(Decimal(3))
    pending = account.pending_events
    with pytest.raises(VersionConflict) as caught:
        await accounts.save(account)
    assert (caught.value.expected, caught.value.actual) == (1, 2)
    assert (account.version, account.pending_events) == (1, pending)


async def test_a_failure_before_the_store_did_anything_is_mended_by_saving_again(
    accounts: Repository[Account], store: MeddledStore
) -> None:
    account = await _opened(accounts, 5)
    account.deposit(Decimal(3))
    store.fail(on="append", when="before")
    with pytest.raises(StoreUnavailable):
        await accounts.save(account)
    assert len(account.pending_events) == 1
    await accounts.save(account)
    assert (await accounts.get(ID)).balance == 8


async def test_a_failure_after_the_store_did_it_all_is_mended_by_saving_again(
    accounts: Repository[Account], store: MeddledStore
) -> None:
    account = await _opened(accounts, 5)
    account.deposit(Decimal(3))
    store.fail(on="append", when="after")
    with pytest.raises(StoreUnavailable):
        await accounts.save(account)
    assert len(account.pending_events) == 1
    result = await accounts.save(account)
    assert result is not None
    assert (result.version, account.version) == (2, 2)
    assert await accounts.save(account) is None
    assert (await accounts.get(ID)).balance == 8


async def test_a_decision_is_made_and_saved(accounts: Repository[Account]) -> None:
    await _opened(accounts, 5)
    assert await accounts.execute(ID, lambda it: it.withdraw(Decimal(2)), metadata={"actor": "x"})
    assert not await accounts.execute(ID, lambda it: it.withdraw(Decimal(100)))
    account = await accounts.get(ID)
    assert (account.balance, account.version) == (Decimal(3), 2)


async def test_metadata_goes_with_a_decision(
    accounts: Repository[Account], store: MeddledStore
) -> None:
    await _opened(accounts, 5)
    await accounts.execute(ID, lambda it: it.deposit(Decimal(2)), metadata={"actor": "x"})
    actors = [one.metadata.actor async for one in store.read_stream(StreamId("account", ID))]
    assert actors == [None, "x"]


async def test_on_a_conflict_the_decision_is_made_again_on_what_is_there_now(
    accounts: Repository[Account], store: MeddledStore
) -> None:
    await _opened(accounts, 5)
    store.before_append = [_elsewhere(accounts, lambda it: it.withdraw(Decimal(4)))]
    seen: list[Decimal] = []

    def decide(account: Account) -> bool:
        seen.append(account.balance)
        return account.withdraw(Decimal(5))

    assert await accounts.execute(ID, decide) is False
    assert seen == [Decimal(5), Decimal(1)]
    assert (await accounts.get(ID)).balance == 1


async def test_it_gives_up_after_so_many_attempts(store: MeddledStore) -> None:
    accounts = Repository(store, Account, attempts=3)
    await _opened(accounts, 5)
    for nth in range(1, 4):
        store.conflict(nth=nth)
    tries = 0

    def decide(account: Account) -> None:
        nonlocal tries
        tries += 1
        account.deposit(Decimal(1))

    with pytest.raises(VersionConflict):
        await accounts.execute(ID, decide)
    assert (tries, store.unfired) == (3, 0)
    assert (await accounts.get(ID)).balance == 5


async def test_another_failure_is_not_tried_again(
    accounts: Repository[Account], store: MeddledStore
) -> None:
    await _opened(accounts, 5)
    store.fail(on="append")
    with pytest.raises(StoreUnavailable):
        await accounts.execute(ID, lambda account: account.deposit(Decimal(1)))
    assert (await accounts.get(ID)).balance == 5


async def test_a_refusal_saves_what_was_recorded_and_nothing_more(
    accounts: Repository[Account],
) -> None:
    await _opened(accounts, 5)

    def refuse(account: Account) -> Result[None, str]:
        return Success(None) if account.withdraw(Decimal(9)) else Failure("too little")

    def note_and_refuse(account: Account) -> Result[None, str]:
        account.deposit(Decimal(1))
        return refuse(account)

    assert await accounts.execute(ID, refuse) == Failure("too little")
    assert (await accounts.get(ID)).version == 1
    assert await accounts.execute(ID, note_and_refuse) == Failure("too little")
    assert (await accounts.get(ID)).balance == 6


async def test_an_exception_of_the_decision_passes_and_saves_nothing(
    accounts: Repository[Account],
) -> None:
    await _opened(accounts, 5)

    def broken(account: Account) -> None:
        account.deposit(Decimal(1))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await accounts.execute(ID, broken)
    assert (await accounts.get(ID)).balance == 5


async def test_decisions_made_at_the_same_time_are_all_kept(store: MeddledStore) -> None:
    accounts = Repository(store, Account, attempts=50)
    await _opened(accounts, 100)
    await asyncio.gather(
        *(accounts.execute(ID, lambda it: it.withdraw(Decimal(1))) for _ in range(20))
    )
    account = await accounts.get(ID)
    assert (account.balance, account.version) == (Decimal(80), 21)


async def test_a_stream_with_an_event_that_nothing_applies_is_not_loaded(
    accounts: Repository[Account], store: MeddledStore
) -> None:
    await store.append(StreamId("account", ID), [Renamed(name="savings")])
    with pytest.raises(UnappliedEvent):
        await accounts.get(ID)


async def test_events_from_elsewhere_count(
    accounts: Repository[Account], store: MeddledStore
) -> None:
    await store.append(
        StreamId("account", ID), [Deposited(amount=Decimal(9)), Withdrawn(amount=Decimal(2))]
    )
    assert (await accounts.get(ID)).balance == 7


class Homeless(Aggregate): ...


class Plain(Aggregate, stream="plain"): ...


def test_a_repository_refuses_what_cannot_work() -> None:
    store = InMemoryEventStore(registry=REGISTRY)
    with pytest.raises(TypeError, match="Homeless has no stream"):
        Repository(store, Homeless)
    with pytest.raises(TypeError, match="Plain takes no snapshots"):
        Repository(store, Plain, snapshot_every=10)
    with pytest.raises(ValueError, match="numbers from 1"):
        Repository(store, Account, attempts=0)
    with pytest.raises(ValueError, match="numbers from 1"):
        Repository(store, Account, snapshot_every=0)


async def test_an_asynchronous_decision_is_refused_and_saves_nothing(
    accounts: Repository[Account],
) -> None:
    """It would not have run, and its coroutine would have been taken for the answer."""
    await _opened(accounts, 5)

    async def decide(account: Account) -> None:
        account.deposit(Decimal(1))

    def decide_and_promise(account: Account) -> object:
        account.deposit(Decimal(1))
        return asyncio.get_running_loop().create_future()

    for decision in (decide, decide_and_promise):
        with pytest.raises(TypeError, match="plain function: call await outside"):
            await accounts.execute(ID, decision)
    assert (await accounts.get(ID)).version == 1


async def test_the_id_of_an_aggregate_is_a_uuid(accounts: Repository[Account]) -> None:
    await _opened(accounts, 5)
    wrong: Any = str(ID)
    with pytest.raises(TypeError, match="the id of an aggregate is a UUID"):
        await accounts.get(wrong)
    with pytest.raises(TypeError, match="the id of an aggregate is a UUID"):
        Account(wrong)
