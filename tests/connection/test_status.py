"""The states of a connection, as others store and compare them."""

import pytest

from dashtam_events.connection import ConnectionStatus


def test_the_values_are_lower_case_and_complete() -> None:
    assert ConnectionStatus.values() == (
        "pending",
        "active",
        "expired",
        "revoked",
        "failed",
        "disconnected",
    )


@pytest.mark.parametrize(("value", "valid"), [("active", True), ("ACTIVE", False), ("", False)])
def test_only_a_value_is_valid(value: str, valid: bool) -> None:
    assert ConnectionStatus.is_valid(value) is valid


def test_the_groups_of_states() -> None:
    assert ConnectionStatus.active_states() == {"active"}
    assert ConnectionStatus.needs_reauth_states() == {"expired", "revoked", "failed"}
    assert ConnectionStatus.terminal_states() == {"disconnected"}
