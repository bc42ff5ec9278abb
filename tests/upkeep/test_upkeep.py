"""Connections are kept in shape: the rules by themselves, then the whole with a provider."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from returns.result import Failure, Result, Success

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.catalogue.provider import (
    ProviderConnectionAttempted,
    ProviderConnectionExpired,
    ProviderConnectionFailed,
    ProviderConnectionRevoked,
    ProviderConnectionSucceeded,
    ProviderDisconnectionSucceeded,
    ProviderTokenRefreshFailed,
    ProviderTokenRefreshSucceeded,
)
from dashtam_events.connection import (
    ConnectionRepository,
    ConnectionStatus,
    CredentialType,
    ProviderConnection,
    ProviderCredentials,
)
from dashtam_events.errors import StoreUnavailable
from dashtam_events.event import DomainEvent
from dashtam_events.processes import IssuedCommand, ProcessRunner
from dashtam_events.recorded import EventMetadata, StreamId
from dashtam_events.repository.snapshot import SnapshotFormat
from dashtam_events.store import EventStore, InMemoryEventStore, SQLiteEventStore
from dashtam_events.subscriptions import InMemoryCheckpointStore
from dashtam_events.testing import HeldClock, given
from dashtam_events.upkeep import (
    UPKEEP_EVENTS,
    ConnectionUpkeep,
    ExpireConnection,
    FailConnection,
    RefreshCredentials,
    RefreshRefused,
    UpkeepCommand,
    UpkeepExecutor,
)
from tests.connection.lives import CONNECTION, NOW, PROVIDER, USER, started
from tests.postgres_server import Open, dsn, open_store, postgres, schema

__all__ = ["dsn", "open_store", "postgres", "schema"]

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
REGISTRY = CATALOGUE | UPKEEP_EVENTS


def happened(
    kind: type[DomainEvent], after: timedelta = timedelta(0), **facts: object
) -> DomainEvent:
    """An event of the connection."""
    whose = {"user_id": USER, "provider_id": PROVIDER, "provider_slug": "schwab"}
    return kind(occurred_at=NOW + after, connection_id=CONNECTION, **whose, **facts)


ATTEMPTED = happened(ProviderConnectionAttempted)
SUCCEEDED = happened(ProviderConnectionSucceeded, MINUTE, credentials_expire_at=NOW + HOUR)
LASTING = happened(ProviderConnectionSucceeded, MINUTE)
REFRESHED = happened(ProviderTokenRefreshSucceeded, HOUR, credentials_expire_at=NOW + 2 * HOUR)
REFUSED = happened(ProviderTokenRefreshFailed, 56 * MINUTE, reason="provider_unavailable")
GONE = happened(
    ProviderTokenRefreshFailed, HOUR, reason="consent_withdrawn", needs_user_action=True
)


def after(*events: DomainEvent) -> ConnectionUpkeep:
    upkeep = ConnectionUpkeep(CONNECTION)
    for each in events:
        upkeep.react(each)
    return upkeep


def woken(upkeep: ConnectionUpkeep, now: datetime) -> ConnectionUpkeep:
    for reached in upkeep.reach_deadlines(now):
        upkeep.react(reached)
    return upkeep


def test_a_pending_connection_is_given_up_after_a_quarter_of_an_hour() -> None:
    upkeep = after(ATTEMPTED)
    assert woken(upkeep, NOW + 14 * MINUTE).pending_commands == ()
    assert woken(upkeep, NOW + 15 * MINUTE).pending_commands == (
        FailConnection(connection_id=CONNECTION),
    )


def test_credentials_are_refreshed_five_minutes_before_they_lapse() -> None:
    upkeep = after(ATTEMPTED, SUCCEEDED)
    assert upkeep.deadlines == {"refresh": NOW + 55 * MINUTE}
    assert woken(upkeep, NOW + 57 * MINUTE).pending_commands == (
        RefreshCredentials(connection_id=CONNECTION, expiring_by=NOW + HOUR),
    )
    assert after(ATTEMPTED, SUCCEEDED, REFRESHED).deadlines == {"refresh": NOW + 115 * MINUTE}


def test_credentials_that_do_not_lapse_are_left_alone() -> None:
    assert after(ATTEMPTED, LASTING).deadlines == {}
    assert after(ATTEMPTED, SUCCEEDED, LASTING).deadlines == {}


def test_credentials_that_lapse_at_once_are_not_refreshed_without_a_pause() -> None:
    short = happened(
        ProviderTokenRefreshSucceeded, HOUR, credentials_expire_at=NOW + HOUR + 2 * MINUTE
    )
    assert after(short).deadlines == {"refresh": NOW + HOUR + MINUTE}


def test_a_failure_is_tried_again_after_a_minute() -> None:
    upkeep = after(SUCCEEDED, REFUSED)
    assert upkeep.deadlines == {"refresh": NOW + 57 * MINUTE}
    [command] = woken(upkeep, NOW + 57 * MINUTE).pending_commands
    assert command == RefreshCredentials(connection_id=CONNECTION, expiring_by=NOW + 62 * MINUTE)


@pytest.mark.parametrize("failures", [(REFUSED, REFUSED, REFUSED), (GONE,), (REFUSED, GONE)])
def test_three_failures_in_a_row_or_one_for_good_expire_the_connection(
    failures: tuple[DomainEvent, ...],
) -> None:
    upkeep = after(SUCCEEDED, *failures)
    assert upkeep.pending_commands == (ExpireConnection(connection_id=CONNECTION),)
    assert upkeep.deadlines == {}


def test_a_success_begins_the_count_anew() -> None:
    upkeep = after(SUCCEEDED, REFUSED, REFUSED, REFRESHED, REFUSED, REFUSED)
    assert upkeep.pending_commands == ()


@pytest.mark.parametrize(
    "lapse",
    [
        happened(ProviderConnectionFailed, MINUTE, reason="user_denied_access"),
        happened(ProviderConnectionExpired, MINUTE),
        happened(ProviderConnectionRevoked, MINUTE),
    ],
)
@pytest.mark.parametrize("before", [(ATTEMPTED,), (ATTEMPTED, SUCCEEDED)])
def test_what_only_the_user_can_mend_is_left_alone_until_they_do(
    before: tuple[DomainEvent, ...], lapse: DomainEvent
) -> None:
    upkeep = after(*before, lapse)
    assert upkeep.deadlines == {}
    upkeep.react(SUCCEEDED)
    assert upkeep.deadlines == {"refresh": NOW + 55 * MINUTE}


def test_the_end_of_the_connection_is_the_end_of_its_upkeep() -> None:
    upkeep = after(ATTEMPTED, SUCCEEDED, happened(ProviderDisconnectionSucceeded, MINUTE))
    assert upkeep.has_ended
    assert upkeep.deadlines == {}


def test_a_snapshot_holds_the_count() -> None:
    upkeep = after(SUCCEEDED, REFUSED, REFUSED)
    form = SnapshotFormat(ConnectionUpkeep)
    again = ConnectionUpkeep.replay_from(CONNECTION, 5, form.load(form.dump(upkeep)))
    assert again.process_state == upkeep.process_state
    again.react(REFUSED)
    assert again.pending_commands == (ExpireConnection(connection_id=CONNECTION),)


def test_times_and_counts_are_set_in_a_subclass() -> None:
    class Hasty(ConnectionUpkeep):
        pending_for = MINUTE
        failures_until_expired = 1

    assert given(Hasty, id=CONNECTION).when(lambda it: it.react(ATTEMPTED)).aggregate.deadlines == {
        "pending": NOW + MINUTE
    }
    hasty = Hasty(CONNECTION)
    hasty.react(SUCCEEDED)
    hasty.react(REFUSED)
    assert hasty.pending_commands == (ExpireConnection(connection_id=CONNECTION),)


def credentials(
    expires_at: datetime | None, kind: CredentialType = CredentialType.OAUTH2
) -> ProviderCredentials:
    return ProviderCredentials(b"sealed", kind, expires_at)


class Bank:
    """Gives what it is told to, or fresh credentials that hold for an hour."""

    def __init__(self, clock: HeldClock) -> None:
        self.clock = clock
        self.asked: list[UUID] = []
        self.answers: list[Result[ProviderCredentials, RefreshRefused] | Exception] = []

    async def refresh(
        self, connection: ProviderConnection
    ) -> Result[ProviderCredentials, RefreshRefused]:
        self.asked.append(connection.id)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer or Success(credentials(self.clock.now() + HOUR))


class Service:
    """Connections in a store, their upkeep, and the bank at the other end."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.clock = HeldClock(NOW)
        self.connections = ConnectionRepository(store)
        self.bank = Bank(self.clock)
        self.checkpoints = InMemoryCheckpointStore()

    async def begin(self) -> None:
        await self.connections.save(started())

    async def connect(
        self, expires_at: datetime | None = NOW + HOUR, kind: CredentialType = CredentialType.OAUTH2
    ) -> None:
        await self.begin()
        await self.connections.execute(
            CONNECTION,
            lambda it: it.mark_connected(credentials(expires_at, kind), now=self.clock.now()),
        )

    async def pass_time(self, time: timedelta) -> ProviderConnection:
        self.clock.advance(time)
        execute = UpkeepExecutor(self.store, self.bank, clock=self.clock.now)
        await ProcessRunner(
            ConnectionUpkeep,
            self.store,
            execute,
            checkpoints=self.checkpoints,
            clock=self.clock.now,
        ).run_once()
        return await self.connections.get(CONNECTION)

    async def refreshes(self) -> list[str]:
        stream = StreamId("provider_token_refresh", CONNECTION)
        return [type(each.event).__name__ async for each in self.store.read_stream(stream)]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Service]:
    if request.param == "memory":
        yield Service(InMemoryEventStore(registry=REGISTRY))
    elif request.param == "sqlite":
        async with SQLiteEventStore(tmp_path / "events.db", registry=REGISTRY) as store:
            yield Service(store)
    else:
        open_it: Open = request.getfixturevalue("open_store")
        async with open_it(registry=REGISTRY) as store:
            yield Service(store)


async def test_a_connection_that_nobody_answers_for_fails(service: Service) -> None:
    await service.begin()
    assert (await service.pass_time(14 * MINUTE)).status is ConnectionStatus.PENDING
    assert (await service.pass_time(MINUTE)).status is ConnectionStatus.FAILED
    history = [each.event async for each in service.store.read_stream(started().stream)]
    failed = history[-1]
    assert isinstance(failed, ProviderConnectionFailed)
    assert (failed.reason, failed.occurred_at) == ("timeout", NOW + 15 * MINUTE)


async def test_a_token_is_refreshed_hour_after_hour(service: Service) -> None:
    await service.connect()
    for _ in range(3):
        connection = await service.pass_time(55 * MINUTE)
        assert connection.can_sync(service.clock.now())
    assert len(service.bank.asked) == 3
    assert await service.refreshes() == ["ProviderTokenRefreshAttempted"] * 3


async def test_a_bank_that_fails_twice_is_asked_a_third_time(service: Service) -> None:
    service.bank.answers = [Failure(RefreshRefused(reason="rate_limited")) for _ in range(2)]
    await service.connect()
    for time in (55 * MINUTE, MINUTE, MINUTE):
        connection = await service.pass_time(time)
    assert connection.can_sync(service.clock.now() + 50 * MINUTE)
    assert await service.refreshes() == [
        *("ProviderTokenRefreshAttempted", "ProviderTokenRefreshFailed") * 2,
        "ProviderTokenRefreshAttempted",
    ]


async def test_three_failures_expire_the_connection_and_nobody_asks_again(
    service: Service,
) -> None:
    service.bank.answers = [Failure(RefreshRefused(reason="rate_limited")) for _ in range(9)]
    await service.connect()
    for time in (55 * MINUTE, MINUTE, MINUTE, HOUR, HOUR):
        connection = await service.pass_time(time)
    assert connection.status is ConnectionStatus.EXPIRED
    assert len(service.bank.asked) == 3


@pytest.mark.parametrize("lifetime", [-HOUR, 50 * MINUTE, HOUR])
async def test_credentials_that_are_no_newer_or_have_lapsed_are_a_failure(
    service: Service, lifetime: timedelta
) -> None:
    stale = credentials(NOW + lifetime)
    service.bank.answers = [Success(stale) for _ in range(9)]
    await service.connect()
    for time in (55 * MINUTE, MINUTE, MINUTE, HOUR, HOUR):
        connection = await service.pass_time(time)
    assert connection.status is ConnectionStatus.EXPIRED
    assert len(service.bank.asked) == 3


async def test_newer_credentials_that_have_lapsed_already_are_a_failure(service: Service) -> None:
    """The upkeep was away while the old ones lapsed."""
    service.bank.answers = [Success(credentials(NOW + 2 * HOUR)) for _ in range(9)]
    await service.connect()
    for time in (3 * HOUR, MINUTE, MINUTE, MINUTE):
        connection = await service.pass_time(time)
    assert connection.status is ConnectionStatus.EXPIRED
    assert len(service.bank.asked) == 3


async def test_credentials_that_lapse_no_more_are_newer(service: Service) -> None:
    service.bank.answers = [Success(credentials(None))]
    await service.connect()
    assert (await service.pass_time(55 * MINUTE)).can_sync(NOW + 900 * HOUR)
    await service.pass_time(HOUR)
    assert len(service.bank.asked) == 1


async def test_a_refresher_that_raises_what_may_pass_has_failed(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.bank.answers = [ConnectionError("token sealed") for _ in range(9)]
    await service.connect()
    for time, asked in ((55 * MINUTE, 1), (MINUTE, 2), (MINUTE, 3), (HOUR, 3)):
        connection = await service.pass_time(time)
        assert len(service.bank.asked) == asked
    assert connection.status is ConnectionStatus.EXPIRED
    assert await service.checkpoints.parked() == ()
    told = [vars(each) for each in caplog.records if each.msg == "token_refresh_failed"]
    assert [each["error_type"] for each in told] == ["ConnectionError"] * 3
    assert "sealed" not in str(told)


async def test_a_store_that_is_away_for_the_refresher_is_no_failure_of_the_provider(
    service: Service,
) -> None:
    service.bank.answers = [StoreUnavailable("vault", "gone")]
    await service.connect()
    with pytest.raises(StoreUnavailable):
        await service.pass_time(55 * MINUTE)
    assert (await service.pass_time(timedelta(0))).can_sync(service.clock.now() + 50 * MINUTE)
    assert await service.refreshes() == ["ProviderTokenRefreshAttempted"]


async def test_credentials_that_cannot_be_refreshed_need_the_user(service: Service) -> None:
    await service.connect(kind=CredentialType.LINK_TOKEN)
    assert (await service.pass_time(55 * MINUTE)).status is ConnectionStatus.EXPIRED
    assert service.bank.asked == []
    assert await service.refreshes() == [
        "ProviderTokenRefreshAttempted",
        "ProviderTokenRefreshFailed",
    ]


async def test_a_refusal_by_the_connection_ends_the_matter(service: Service) -> None:
    """The user revoked the access while the bank was being asked."""

    class Slow(Bank):
        async def refresh(
            self, connection: ProviderConnection
        ) -> Result[ProviderCredentials, RefreshRefused]:
            await service.connections.execute(
                CONNECTION, lambda it: it.mark_revoked("user_revoked", now=self.clock.now())
            )
            return await super().refresh(connection)

    service.bank = Slow(service.clock)
    await service.connect()
    assert (await service.pass_time(55 * MINUTE)).status is ConnectionStatus.REVOKED
    assert (await service.pass_time(HOUR)).status is ConnectionStatus.REVOKED
    assert await service.checkpoints.parked() == ()
    assert len(service.bank.asked) == 1


@pytest.mark.parametrize(
    "command",
    [
        FailConnection(connection_id=CONNECTION),
        ExpireConnection(connection_id=CONNECTION),
        RefreshCredentials(connection_id=CONNECTION, expiring_by=NOW + 9 * HOUR),
    ],
)
async def test_a_command_that_comes_too_late_does_nothing(
    service: Service, command: UpkeepCommand
) -> None:
    await service.connect()
    await service.connections.execute(CONNECTION, lambda it: it.mark_disconnected())
    before = await service.store.last_position()
    await UpkeepExecutor(service.store, service.bank)(
        IssuedCommand(
            id=UUID(int=9), process_id=CONNECTION, command=command, metadata=EventMetadata()
        )
    )
    assert await service.store.last_position() == before
    assert service.bank.asked == []


async def test_nothing_is_asked_for_where_the_user_was_faster(service: Service) -> None:
    await service.connect()
    service.clock.advance(54 * MINUTE)
    fresh = credentials(NOW + 3 * HOUR)
    await service.connections.execute(
        CONNECTION, lambda it: it.update_credentials(fresh, now=service.clock.now())
    )
    await service.pass_time(5 * MINUTE)
    assert service.bank.asked == []


async def test_after_the_disconnection_nobody_is_asked(service: Service) -> None:
    await service.connect()
    await service.pass_time(MINUTE)
    await service.connections.execute(CONNECTION, lambda it: it.mark_disconnected())
    assert (await service.pass_time(HOUR)).status is ConnectionStatus.DISCONNECTED
    assert service.bank.asked == []


async def test_a_bank_whose_answer_was_kept_is_not_asked_again(service: Service) -> None:
    """The runner died before it noted that the command was executed."""
    await service.connect()
    service.bank.answers = [Failure(RefreshRefused(reason="rate_limited"))]

    class Twice(UpkeepExecutor):
        async def __call__(self, issued: IssuedCommand[UpkeepCommand]) -> None:
            await super().__call__(issued)
            await super().__call__(issued)

    runner = ProcessRunner(
        ConnectionUpkeep,
        service.store,
        Twice(service.store, service.bank, clock=service.clock.now),
        checkpoints=service.checkpoints,
        clock=service.clock.now,
    )
    service.clock.advance(55 * MINUTE)
    await runner.run_once()
    assert len(service.bank.asked) == 1
    service.clock.advance(MINUTE)
    await runner.run_once()
    assert len(service.bank.asked) == 2
    assert (await service.connections.get(CONNECTION)).can_sync(service.clock.now() + 50 * MINUTE)


async def test_a_mistake_of_the_refresher_is_parked_and_can_be_replayed(service: Service) -> None:
    service.bank.answers = [TypeError("a bug")]
    await service.connect()
    assert (await service.pass_time(55 * MINUTE)).can_sync(service.clock.now())
    [(name, parked)] = await service.checkpoints.parked()
    assert (name, parked.error_type) == ("connection_upkeep", "TypeError")
    await service.checkpoints.replay("connection_upkeep")
    connection = await service.pass_time(timedelta(0))
    assert connection.can_sync(service.clock.now() + 50 * MINUTE)
    assert await service.refreshes() == ["ProviderTokenRefreshAttempted"]


async def test_credentials_are_in_no_event(service: Service) -> None:
    await service.connect()
    await service.pass_time(55 * MINUTE)
    async for recorded in service.store.read_all():
        assert "sealed" not in str(recorded.event)
        assert b"sealed" not in repr(recorded).encode()
