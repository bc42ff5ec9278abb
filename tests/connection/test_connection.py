"""A connection as its users know it: how it is made, and what it answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashtam_events.connection import (
    ConnectionStatus,
    CredentialType,
    ProviderConnection,
    ProviderCredentials,
)
from tests.connection.lives import (
    CONNECTION,
    FIRST,
    HOUR,
    NOW,
    PROVIDER,
    USER,
    connected,
    in_state,
    seen,
    started,
)

GIVEN: dict[str, Any] = {
    "id": CONNECTION,
    "user_id": USER,
    "provider_id": PROVIDER,
    "provider_slug": "schwab",
    "status": ConnectionStatus.ACTIVE,
    "alias": "My IRA",
    "credentials": FIRST,
    "connected_at": NOW,
    "last_sync_at": NOW,
    "created_at": NOW - HOUR,
    "updated_at": NOW,
}


def test_the_constructor_keeps_what_it_is_given() -> None:
    connection = ProviderConnection(**GIVEN)
    assert seen(connection) == GIVEN
    assert (connection.version, connection.pending_events) == (0, ())


def test_the_constructor_asks_for_little() -> None:
    connection = ProviderConnection(
        id=CONNECTION,
        user_id=USER,
        provider_id=PROVIDER,
        provider_slug="schwab",
        status=ConnectionStatus.PENDING,
    )
    assert connection.created_at == connection.updated_at
    assert datetime.now(UTC) - connection.created_at < timedelta(minutes=1)
    assert (connection.alias, connection.credentials, connection.connected_at) == (None,) * 3


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"provider_slug": ""}, "provider_slug must have 1 to 50 characters"),
        ({"provider_slug": "s" * 51}, "provider_slug must have 1 to 50 characters"),
        ({"alias": "a" * 101}, "alias must have at most 100 characters"),
        ({"credentials": None}, "an active connection must have credentials"),
        ({"status": "awake"}, "is not a valid ConnectionStatus"),
        ({"created_at": NOW.replace(tzinfo=None)}, "created_at must be aware"),
        ({"updated_at": NOW.replace(tzinfo=None)}, "updated_at must be aware"),
        ({"connected_at": NOW.replace(tzinfo=None)}, "connected_at must be aware"),
        ({"last_sync_at": NOW.replace(tzinfo=None)}, "last_sync_at must be aware"),
    ],
)
def test_the_constructor_refuses(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ProviderConnection(**(GIVEN | wrong))


def test_the_bounds_themselves_are_allowed() -> None:
    ProviderConnection(**(GIVEN | {"provider_slug": "s" * 50, "alias": "a" * 100}))


@pytest.mark.parametrize(
    "wrong", [{"provider_slug": ""}, {"provider_slug": "s" * 51}, {"alias": "a" * 101}]
)
def test_a_start_refuses_the_same(wrong: dict[str, str]) -> None:
    given: dict[str, Any] = {"user_id": USER, "provider_id": PROVIDER, "provider_slug": "schwab"}
    with pytest.raises(ValueError, match="must have"):
        ProviderConnection.start(**(given | wrong))


def test_a_start_makes_an_id_that_sorts_by_time() -> None:
    first, second = (
        ProviderConnection.start(user_id=USER, provider_id=PROVIDER, provider_slug="schwab")
        for _ in range(2)
    )
    assert first.id.version == 7
    assert first.id < second.id


@pytest.mark.parametrize("name", ["status", "credentials", "alias", "id", "version", "created_at"])
def test_only_commands_change_a_connection(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(connected(), name, None)


@pytest.mark.parametrize("status", ConnectionStatus)
def test_what_a_state_means(status: ConnectionStatus) -> None:
    connection = in_state(status)
    assert connection.is_connected() is (status is ConnectionStatus.ACTIVE)
    assert connection.can_sync(NOW) is (status is ConnectionStatus.ACTIVE)
    mendable = {ConnectionStatus.EXPIRED, ConnectionStatus.REVOKED, ConnectionStatus.FAILED}
    assert connection.needs_reauthentication() is (status in mendable)


def test_lapsed_credentials_stop_the_sync_before_anybody_marks_it() -> None:
    connection = connected()
    assert not connection.is_credentials_expired(NOW + HOUR - timedelta(seconds=1))
    assert connection.is_credentials_expired(NOW + HOUR)
    assert connection.can_sync(NOW + HOUR - timedelta(seconds=1))
    assert not connection.can_sync(NOW + HOUR)


def test_credentials_that_lapse_soon_are_seen_in_time() -> None:
    connection = connected()
    assert not connection.is_credentials_expiring_soon(now=NOW)
    assert connection.is_credentials_expiring_soon(now=NOW + timedelta(minutes=55))
    assert connection.is_credentials_expiring_soon(timedelta(hours=1), now=NOW)


def test_without_credentials_nothing_lapses_and_nothing_syncs() -> None:
    connection = started()
    assert not connection.is_credentials_expired(NOW)
    assert not connection.is_credentials_expiring_soon(now=NOW)
    connection = connected()
    connection.restore_credentials(None)
    assert not connection.can_sync(NOW)


def test_credentials_that_have_lapsed_connect_but_do_not_sync() -> None:
    connection = started()
    connection.mark_connected(ProviderCredentials(b"old", CredentialType.OAUTH2, NOW - HOUR))
    assert connection.is_connected()
    assert not connection.can_sync(NOW)


def test_the_repr_shows_no_credentials() -> None:
    assert "blob" not in repr(connected())


@pytest.mark.parametrize("given", [None, b"blob", "blob", {"encrypted_data": b"blob"}])
def test_what_are_no_credentials_is_refused_and_changes_nothing(given: Any) -> None:
    pending, active = started(), connected()
    for connection, command in (
        (pending, pending.mark_connected),
        (active, active.update_credentials),
    ):
        before = seen(connection)
        with pytest.raises(TypeError, match="credentials must be ProviderCredentials"):
            command(given)
        assert seen(connection) == before


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("id", "nope", "the id of an aggregate is a UUID"),
        ("user_id", "nope", "user_id must be a UUID"),
        ("provider_id", 7, "provider_id must be a UUID"),
        ("provider_slug", None, "provider_slug must be text"),
        ("alias", 7, "alias must be text"),
    ],
)
def test_a_connection_is_not_begun_with_values_of_other_types(
    field: str, value: Any, sentence: str
) -> None:
    facts: dict[str, Any] = {"user_id": USER, "provider_id": PROVIDER, "provider_slug": "schwab"}
    with pytest.raises(TypeError, match=sentence):
        ProviderConnection.start(**(facts | {field: value}))
