"""Which events came last before a place in a log, which can only be read forwards."""

from dashtam_events.recorded import Position
from dashtam_events.subscriptions._log import Log

__all__ = ["lately"]


async def lately(log: Log, end: int, count: int, *, size: int) -> list[Position]:
    """The positions of the last wanted events up to one, in order; at most `count`.

    However far apart they are, and however many lie before them, a few times as many are read,
    at most `size` at once.
    """
    found: list[Position] = []
    before, span = end, count
    while before > 0 and len(found) < count:
        after = max(0, before - span)
        between = await _between(log, after, before, 4 * count, size)
        if between is None:
            span //= 2
        else:
            found, before, span = between + found, after, 4 * span
    return found[-count:]


async def _between(
    log: Log, after: int, until: int, limit: int, size: int
) -> list[Position] | None:
    """The positions of what is wanted after one and up to another; None for more than a limit."""
    found: list[Position] = []
    while len(found) <= limit:
        batch = await log.read(Position(after) or None, min(limit, size))
        found += [item.position for item in batch.items if item.position <= until]
        if batch.is_last or batch.reached is None or batch.reached >= until:
            return found
        after = batch.reached
    return None
