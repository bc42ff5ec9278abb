"""A snapshot is a shortcut: it leads where all the events lead, or it is not taken."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_events.aggregate import Aggregate, applies
from dashtam_events.codec import make_converter
from dashtam_events.errors import AggregateNotFound
from dashtam_events.recorded import StreamId
from dashtam_events.repository import Repository
from dashtam_events.repository.snapshot import SNAPSHOT
from dashtam_events.store import InMemoryEventStore
from tests.aggregate.accounts import REGISTRY, Account, Balance, Deposited
from tests.repository.meddling import MeddledStore

ID = UUID(int=7)
STREAM = StreamId("account", ID)


@pytest.fixture
def store() -> MeddledStore:
    return MeddledStore(InMemoryEventStore(registry=REGISTRY))


async def _save(accounts: Repository[Account], *amounts: int) -> Account:
    account = Account(ID)
    for amount in amounts:
        account.deposit(Decimal(amount))
        await accounts.save(account)
    return account


async def _snapshot(store: MeddledStore) -> tuple[bytes | None, int] | None:
    kept = await store.read_attachment(STREAM, SNAPSHOT)
    return None if kept is None else (kept.data, kept.version)


async def test_a_snapshot_is_written_whenever_so_many_versions_were_passed(
    store: MeddledStore,
) -> None:
    accounts = Repository(store, Account, snapshot_every=3)
    account = Account(ID)
    versions: list[int] = []
    for burst in (2, 2, 1, 1, 7):
        for _ in range(burst):
            account.deposit(Decimal(1))
        await accounts.save(account)
        kept = await _snapshot(store)
        versions.append(kept[1] if kept else 0)
    assert versions == [0, 4, 4, 6, 13]


async def test_a_load_reads_only_what_came_after_the_snapshot(store: MeddledStore) -> None:
    accounts = Repository(store, Account, snapshot_every=2)
    saved = await _save(accounts, 1, 2, 4)
    read: list[int] = []
    advance = Account.advance

    class Watched(Account):
        def advance(self, recorded: Any) -> None:
            read.append(recorded.version)
            advance(self, recorded)

    account = await Repository(store, Watched, snapshot_every=2).get(ID)
    assert (account.balance, account.movements, read) == (saved.balance, saved.movements, [3])


async def test_a_repository_without_snapshots_neither_writes_nor_reads_them(
    store: MeddledStore,
) -> None:
    await _save(Repository(store, Account), 1, 2)
    assert (await _snapshot(store), store.calls["read_attachment"]) == (None, 1)
    await Repository(store, Account).get(ID)
    assert store.calls["read_attachment"] == 1


@given(
    amounts=st.lists(st.decimals(0, 10**9, places=3), min_size=1, max_size=30),
    every=st.integers(1, 10),
)
async def test_loading_from_a_snapshot_equals_loading_all(
    amounts: list[Decimal], every: int
) -> None:
    store = InMemoryEventStore(registry=REGISTRY)
    accounts = Repository(store, Account, snapshot_every=every)
    account = Account(ID)
    for amount in amounts:
        account.deposit(amount)
        await accounts.save(account)
    assert (await accounts.get(ID)).same_state_as(await Repository(store, Account).get(ID))
    assert await accounts.verify_snapshot(ID) is (len(amounts) >= every)


async def _replaced(store: MeddledStore, data: bytes | None) -> None:
    await store.append(STREAM, [Deposited(amount=Decimal(8))], attachments={SNAPSHOT: data})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"version":2,"state":{"amount":"1","movements":[]}}',
        b'{"version":1,"state":{"amount":1,"movements":[]}}',
        b'{"version":1,"state":{"movements":[]}}',
        b'{"version":1,"state":null}',
        b'{"version":1,"state":' + b"[" * 50_000,
        None,
    ],
)
async def test_a_snapshot_that_does_not_fit_is_passed_over(
    store: MeddledStore, data: bytes | None
) -> None:
    accounts = Repository(store, Account, snapshot_every=2)
    await _save(accounts, 1, 2)
    await _replaced(store, data)
    assert (await accounts.get(ID)).balance == 11
    assert await accounts.verify_snapshot(ID) is False


async def test_a_snapshot_of_an_earlier_version_is_passed_over(store: MeddledStore) -> None:
    class Later(Account):
        snapshot_version = 2

    await _save(Repository(store, Account, snapshot_every=2), 1, 2)
    accounts = Repository(store, Later, snapshot_every=2)
    assert (await accounts.get(ID)).balance == 3
    assert await accounts.verify_snapshot(ID) is False


async def test_a_snapshot_that_lies_is_found_out(store: MeddledStore) -> None:
    accounts = Repository(store, Account, snapshot_every=2)
    await _save(accounts, 1, 2)
    assert await accounts.verify_snapshot(ID) is True
    await _replaced(store, b'{"version":1,"state":{"amount":"999","movements":["999"]}}')
    assert await accounts.verify_snapshot(ID) is False


async def test_a_snapshot_that_forgets_an_attribute_is_found_out(store: MeddledStore) -> None:
    class Forgetful(Account):
        def restore_snapshot(self, state: Balance) -> None:
            self.balance = state.amount

    accounts = Repository(store, Forgetful, snapshot_every=1)
    account = Forgetful(ID)
    account.deposit(Decimal(1))
    await accounts.save(account)
    assert await accounts.verify_snapshot(ID) is False


async def test_verifying_needs_snapshots_and_an_aggregate(store: MeddledStore) -> None:
    with pytest.raises(TypeError, match="keeps no snapshots"):
        await Repository(store, Account).verify_snapshot(ID)
    with pytest.raises(AggregateNotFound):
        await Repository(store, Account, snapshot_every=1).verify_snapshot(ID)


async def test_the_past_is_read_from_the_events(store: MeddledStore) -> None:
    accounts = Repository(store, Account, snapshot_every=2)
    await _save(accounts, 1, 2, 4)
    assert (await accounts.get(ID, at_version=1)).balance == 1


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


@attrs.frozen
class Purse:
    money: Money


class Wallet(Aggregate, stream="wallet"):
    snapshot_type = Purse

    def __init__(self, id: UUID) -> None:
        super().__init__(id)
        self.cents = 0

    @applies(Deposited)
    def _deposited(self, event: Deposited) -> None:
        self.cents += int(event.amount * 100)

    def take_snapshot(self) -> Purse:
        return Purse(Money(self.cents))

    def restore_snapshot(self, state: Purse) -> None:
        self.cents = state.money.cents


async def test_types_of_ones_own_need_a_converter_with_their_hooks(store: MeddledStore) -> None:
    converter = make_converter()
    converter.register_unstructure_hook(Money, lambda money: money.cents)
    converter.register_structure_hook(Money, lambda raw, _: Money(raw))
    wallets = Repository(store, Wallet, snapshot_every=1, converter=converter)
    wallet = Wallet(ID)
    wallet.record(Deposited(amount=Decimal("1.25")))
    await wallets.save(wallet)
    assert await wallets.verify_snapshot(ID)
