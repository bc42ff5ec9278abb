"""Where in its life a provider connection is."""

from enum import StrEnum

__all__ = ["ConnectionStatus"]


class ConnectionStatus(StrEnum):
    """The state of a connection; its value is what is shown and stored.

    `PENDING`: begun, the provider has not answered. `ACTIVE`: data flows. `EXPIRED`: the
    credentials lapsed. `REVOKED`: the access was withdrawn. `FAILED`: the first attempt came to
    nothing. `DISCONNECTED`: ended for good.
    """

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    FAILED = "failed"
    DISCONNECTED = "disconnected"

    @classmethod
    def values(cls) -> tuple[str, ...]:
        """Every value, as text, in the order of the definition."""
        return tuple(status.value for status in cls)

    @classmethod
    def is_valid(cls, value: str) -> bool:
        """Whether a text is one of the values; upper case is not."""
        return value in cls.values()

    @classmethod
    def active_states(cls) -> frozenset["ConnectionStatus"]:
        """The states in which data flows."""
        return frozenset({cls.ACTIVE})

    @classmethod
    def needs_reauth_states(cls) -> frozenset["ConnectionStatus"]:
        """The states that only the user can mend, by authenticating again."""
        return frozenset({cls.EXPIRED, cls.REVOKED, cls.FAILED})

    @classmethod
    def terminal_states(cls) -> frozenset["ConnectionStatus"]:
        """The states that nothing leads out of."""
        return frozenset({cls.DISCONNECTED})
