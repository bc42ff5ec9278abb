"""What an endpoint has done so far, in numbers for a dashboard."""

from collections import Counter

import attrs

__all__ = ["SSECounters"]


def _counter() -> Counter[str]:
    return Counter()


@attrs.define(kw_only=True)
class SSECounters:
    """Numbers of one endpoint since it was made; read them at any time.

    `open`, `lagging` (those that are reading what they missed from the store) and `stuck` (those
    that were cut off, but that the server has not let go of: they count as open) are as of now,
    `lag` is how many seconds the latest event took from the store to those who listen; all
    others only grow. `ended` and `resets` count by reason, `refused` the streams that were told
    to come back later, `replayed` the events that were read again for one connection.
    """

    open: int = 0
    lagging: int = 0
    stuck: int = 0
    lag: float = 0.0
    opened: int = 0
    refused: int = 0
    sent_events: int = 0
    sent_bytes: int = 0
    replayed: int = 0
    resets: Counter[str] = attrs.field(factory=_counter)
    ended: Counter[str] = attrs.field(factory=_counter)
