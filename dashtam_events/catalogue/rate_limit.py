"""Requests counted against a limit, and let through or turned away."""

from dashtam_events.declaration import Audit, Phase
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal

__all__ = [
    "RateLimitCheckAllowed",
    "RateLimitCheckAttempted",
    "RateLimitCheckDenied",
]


@event(
    category="rate_limit",
    workflow="rate_limit_check",
    phase=Phase.ATTEMPTED,
    audit=Audit("RATE_LIMIT_CHECK_ATTEMPTED", resource="endpoint"),
)
class RateLimitCheckAttempted(DomainEvent):
    """A request is about to be counted against a limit.

    Attributes:
        endpoint: what was called, as method and path pattern: `POST /api/v1/sessions`.
        identifier: whom the limit counts: an address, a user's id, or user and provider together.
        scope: what `identifier` is: `ip`, `user`, `user_provider` or `global`.
        cost: how many tokens the request takes from the bucket, 1 for most.
    """

    endpoint: str
    identifier: str = personal()
    scope: str
    cost: int


@event(
    category="rate_limit",
    workflow="rate_limit_check",
    phase=Phase.ALLOWED,
    audit=Audit("RATE_LIMIT_CHECK_ALLOWED", resource="endpoint"),
)
class RateLimitCheckAllowed(DomainEvent):
    """A request was within its limit and goes on.

    Attributes:
        endpoint: what was called, as method and path pattern.
        identifier: whom the limit counts.
        scope: what `identifier` is: `ip`, `user`, `user_provider` or `global`.
        remaining_tokens: how many tokens the bucket holds after this request.
        execution_time_ms: how long the check itself took, in milliseconds.
    """

    endpoint: str
    identifier: str = personal()
    scope: str
    remaining_tokens: int
    execution_time_ms: float


@event(
    category="rate_limit",
    workflow="rate_limit_check",
    phase=Phase.DENIED,
    audit=Audit("RATE_LIMIT_CHECK_DENIED", resource="endpoint"),
)
class RateLimitCheckDenied(DomainEvent):
    """A request was over its limit and was turned away.

    Attributes:
        endpoint: what was called, as method and path pattern.
        identifier: whom the limit counts.
        scope: what `identifier` is: `ip`, `user`, `user_provider` or `global`.
        retry_after: in how many seconds the bucket will hold enough tokens again.
        execution_time_ms: how long the check itself took, in milliseconds.
    """

    endpoint: str
    identifier: str = personal()
    scope: str
    retry_after: float
    execution_time_ms: float
