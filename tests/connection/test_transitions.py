"""Every command in every state: as the table says, or refused without a trace."""

from itertools import product
from uuid import UUID

import pytest
from returns.result import Failure, Success

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.catalogue.provider import (
    ProviderConnectionAttempted,
    ProviderConnectionFailed,
    ProviderConnectionRevoked,
    ProviderConnectionSucceeded,
    ProviderConnectionSynced,
    ProviderDisconnectionSucceeded,
    ProviderTokenRefreshSucceeded,
)
from dashtam_events.connection import ConnectionStatus, ProviderConnection, ProviderConnectionError
from dashtam_events.connection._machine import START, TRANSITIONS
from dashtam_events.errors import AggregateNotFound, InvalidHistory
from dashtam_events.event import DomainEvent
from tests.connection.lives import (
    COMMANDS,
    CONNECTION,
    FIRST,
    FRESH,
    HOUR,
    NOW,
    PROVIDER,
    REFUSALS,
    USER,
    connected,
    in_state,
    seen,
    started,
)

S = ConnectionStatus
EXPECTED = {
    S.PENDING: {"Succeeded": S.ACTIVE, "Failed": S.FAILED, "Disconnection": S.DISCONNECTED},
    S.ACTIVE: {
        "Expired": S.EXPIRED,
        "Revoked": S.REVOKED,
        "TokenRefresh": S.ACTIVE,
        "Synced": S.ACTIVE,
        "Disconnection": S.DISCONNECTED,
    },
    S.EXPIRED: {"Succeeded": S.ACTIVE, "Disconnection": S.DISCONNECTED},
    S.REVOKED: {"Succeeded": S.ACTIVE, "Disconnection": S.DISCONNECTED},
    S.FAILED: {"Succeeded": S.ACTIVE, "Disconnection": S.DISCONNECTED},
    S.DISCONNECTED: {},
}
PAIRS = list(product(ConnectionStatus, COMMANDS))


def _short(event: type[DomainEvent]) -> str:
    name = event.__name__.removeprefix("Provider").removeprefix("Connection")
    return name if name == "Succeeded" else name.removesuffix("Succeeded")


def test_the_table_is_the_one_that_users_were_promised() -> None:
    written = {
        status: {_short(event): to for event, to in transitions.items()}
        for status, transitions in TRANSITIONS.items()
    }
    assert written == EXPECTED


def test_the_table_lists_every_state_and_every_event_has_a_command() -> None:
    assert list(TRANSITIONS) == list(ConnectionStatus)
    assert {event for row in TRANSITIONS.values() for event in row} == set(COMMANDS)
    terminal = {status for status, row in TRANSITIONS.items() if not row}
    assert terminal == ConnectionStatus.terminal_states()


@pytest.mark.parametrize(("status", "kind"), PAIRS)
def test_a_command_follows_the_table_or_changes_nothing(
    status: ConnectionStatus, kind: type[DomainEvent]
) -> None:
    connection = in_state(status)
    before, pending = seen(connection), connection.pending_events
    answer = COMMANDS[kind](connection)
    if kind in TRANSITIONS[status]:
        assert answer == Success(None)
        assert connection.status is TRANSITIONS[status][kind]
        assert [type(event) for event in connection.pending_events[len(pending) :]] == [kind]
        assert connection.updated_at == NOW + HOUR
    else:
        ended_again = kind is ProviderDisconnectionSucceeded
        assert answer == (Success(None) if ended_again else Failure(REFUSALS[kind]))
        assert (seen(connection), connection.pending_events) == (before, pending)


@pytest.mark.parametrize(("status", "kind"), PAIRS)
def test_an_event_that_the_table_does_not_allow_is_an_invalid_history(
    status: ConnectionStatus, kind: type[DomainEvent]
) -> None:
    donor = in_state(next(allowing for allowing in TRANSITIONS if kind in TRANSITIONS[allowing]))
    COMMANDS[kind](donor)
    event = donor.pending_events[-1]
    connection = in_state(status)
    before, pending = seen(connection), connection.pending_events
    if kind in TRANSITIONS[status]:
        connection.record(event)
        assert connection.status is TRANSITIONS[status][kind]
    else:
        with pytest.raises(InvalidHistory) as caught:
            connection.record(event)
        assert (caught.value.event_type, caught.value.state) == (kind.__name__, status.name)
        assert (seen(connection), connection.pending_events) == (before, pending)


@pytest.mark.parametrize("kind", COMMANDS)
def test_nothing_but_an_attempt_begins_a_history(kind: type[DomainEvent]) -> None:
    donor = in_state(next(allowing for allowing in TRANSITIONS if kind in TRANSITIONS[allowing]))
    COMMANDS[kind](donor)
    with pytest.raises(InvalidHistory, match="cannot happen in state NOT BEGUN"):
        ProviderConnection.blank(CONNECTION).record(donor.pending_events[-1])


def test_a_connection_begins_once() -> None:
    connection = started()
    with pytest.raises(InvalidHistory, match="Attempted cannot happen in state PENDING"):
        connection.record(connection.pending_events[0])


def test_an_event_of_another_connection_is_an_invalid_history() -> None:
    stranger = connected(UUID(int=99)).pending_events
    with pytest.raises(InvalidHistory):
        ProviderConnection.blank(CONNECTION).record(stranger[0])
    with pytest.raises(InvalidHistory):
        started().record(stranger[1])


def test_a_beginning_that_no_command_would_record_is_an_invalid_history() -> None:
    endless = ProviderConnectionAttempted(
        user_id=USER, provider_id=PROVIDER, provider_slug="s" * 51, connection_id=CONNECTION
    )
    with pytest.raises(InvalidHistory):
        ProviderConnection.blank(CONNECTION).record(endless)


def test_a_connection_that_nothing_began_has_nothing_to_show() -> None:
    with pytest.raises(AggregateNotFound):
        _ = ProviderConnection.blank(CONNECTION).status


def test_the_sentences_of_the_refusals() -> None:
    assert {error.name: str(error) for error in ProviderConnectionError} == {
        "CANNOT_CONNECT": (
            "Cannot transition to ACTIVE, must be PENDING, EXPIRED, REVOKED or FAILED"
        ),
        "CANNOT_FAIL": "Cannot transition to FAILED, must be PENDING",
        "CANNOT_EXPIRE": "Cannot transition to EXPIRED, must be ACTIVE",
        "CANNOT_REVOKE": "Cannot transition to REVOKED, must be ACTIVE",
        "CANNOT_UPDATE_CREDENTIALS": "Cannot update credentials, must be ACTIVE",
        "CANNOT_SYNC": "Cannot record a sync, must be ACTIVE",
    }


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_names_exactly_the_states_that_allow_it(kind: type[DomainEvent]) -> None:
    _, _, states = REFUSALS[kind].partition("must be ")
    named = states.replace(" or ", ", ").split(", ")
    assert named == [status.name for status in TRANSITIONS if kind in TRANSITIONS[status]]


def test_every_event_says_whose_connection_it_is_of() -> None:
    for kind, command in COMMANDS.items():
        connection = in_state(next(one for one in TRANSITIONS if kind in TRANSITIONS[one]))
        command(connection)
        event = connection.pending_events[-1]
        facts = {name: getattr(event, name) for name in ("user_id", "connection_id")}
        assert facts == {"user_id": USER, "connection_id": CONNECTION}
        assert (event.occurred_at, type(event) in CATALOGUE) == (NOW + HOUR, True)


def test_the_first_event_says_how_it_began() -> None:
    begin, first = START
    (attempted,) = started().pending_events
    assert isinstance(attempted, begin)
    assert isinstance(attempted, ProviderConnectionAttempted)
    assert (attempted.connection_id, attempted.alias) == (CONNECTION, "My IRA")
    assert (attempted.provider_slug, attempted.occurred_at) == ("schwab", NOW)
    assert started().status is first


def test_reasons_are_told() -> None:
    failed, revoked = started(), connected()
    failed.mark_failed("timeout")
    revoked.mark_revoked("security_hold")
    assert isinstance(failed.pending_events[-1], ProviderConnectionFailed)
    assert failed.pending_events[-1].reason == "timeout"
    assert isinstance(revoked.pending_events[-1], ProviderConnectionRevoked)
    assert revoked.pending_events[-1].reason == "security_hold"


def test_events_tell_when_credentials_lapse_and_nothing_else_of_them() -> None:
    connection = connected()
    connection.update_credentials(FRESH)
    _, first, refreshed = connection.pending_events
    assert isinstance(first, ProviderConnectionSucceeded)
    assert isinstance(refreshed, ProviderTokenRefreshSucceeded)
    assert first.credentials_expire_at == FIRST.expires_at
    assert refreshed.credentials_expire_at == FRESH.expires_at


def test_the_time_of_the_first_success_survives_connecting_again() -> None:
    connection = connected()
    connection.mark_expired(now=NOW + HOUR)
    connection.mark_connected(FRESH, now=NOW + 2 * HOUR)
    assert connection.connected_at == NOW
    assert connection.updated_at == NOW + 2 * HOUR


def test_a_sync_is_remembered() -> None:
    connection = connected()
    connection.record_sync(now=NOW + HOUR)
    assert isinstance(connection.pending_events[-1], ProviderConnectionSynced)
    assert connection.last_sync_at == NOW + HOUR


@pytest.mark.parametrize("status", [S.EXPIRED, S.REVOKED])
def test_what_can_be_mended_keeps_its_credentials(status: ConnectionStatus) -> None:
    assert in_state(status).credentials == FIRST


def test_what_has_ended_has_none() -> None:
    assert in_state(S.DISCONNECTED).credentials is None


def test_a_naive_time_is_refused_and_changes_nothing() -> None:
    connection = connected()
    before, pending = seen(connection), connection.pending_events
    with pytest.raises(ValueError, match="occurred_at must be an aware datetime"):
        connection.mark_expired(now=NOW.replace(tzinfo=None))
    assert (seen(connection), connection.pending_events) == (before, pending)
