"""Which partition a stream is in, and the lease under which a partition is dealt with."""

from collections.abc import Collection
from contextvars import ContextVar
from hashlib import blake2b

import attrs

from dashtam_events.recorded import StreamId

__all__ = ["CURRENT", "Lease", "current_lease", "fair_share", "partition_of"]


@attrs.frozen(kw_only=True)
class Lease:
    """The right of a member of a consumer group to deal with a partition.

    `epoch` counts the owners that the partition had: it is the fencing token. A system that
    keeps the greatest it was shown, partition by partition, and refuses what comes with a smaller
    one, takes nothing from an owner that was paused and does not know yet that it is none.
    """

    subscription: str
    partition: int
    member: str
    epoch: int


CURRENT: ContextVar[Lease | None] = ContextVar("dashtam_events_lease", default=None)
"""Set in the task of each partition."""


def current_lease() -> Lease | None:
    """The lease under which this handler or projection runs; None outside a consumer group."""
    return CURRENT.get()


def partition_of(stream: StreamId, partitions: int) -> int:
    """The partition of a stream, from 0; the same in every process and release, for ever.

    It is the 8-byte BLAKE2b digest of the stream written as text (UTF-8), taken as a big-endian
    number, modulo the number of partitions.
    """
    digest = blake2b(str(stream).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % partitions


def fair_share(partitions: int, members: Collection[str], member: str) -> int:
    """How many partitions a member is to hold; the shares of all differ by one at most."""
    each, rest = divmod(partitions, len(members))
    return each + (sorted(members).index(member) < rest)
