"""Competing consumers: many processes that share the work of one subscription."""

import asyncio
import os
import platform
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from dashtam_events._ids import new_id
from dashtam_events.subscriptions._elsewhere import cancelled_elsewhere
from dashtam_events.subscriptions._holding import FAREWELL_SECONDS, Holding
from dashtam_events.subscriptions._life import Living
from dashtam_events.subscriptions._log import SharedLog
from dashtam_events.subscriptions._options import checked_name
from dashtam_events.subscriptions._runner import UNAVAILABLE, Runner, is_for_good
from dashtam_events.subscriptions._telling import Teller
from dashtam_events.subscriptions.errors import CheckpointUnavailable, SubscriptionTablesMissing
from dashtam_events.subscriptions.health import GroupHealth, Health, SubscriptionState
from dashtam_events.subscriptions.partitions import fair_share

__all__ = ["ConsumerGroup"]

_LONGEST_BEAT = 1.0
_LONGEST_LEASE = 86_400.0
_LARGEST_PAGE = 2000
# What is left of a lease is for cancelling what is under way.
_USABLE = 0.9


class ConsumerGroup(Living):
    """Shares a subscription, or a projection, with all who run a group of its name.

    The streams are divided among a fixed number of partitions (`partition_of`). Each partition
    has a checkpoint of its own and one owner at a time, who holds it under a lease; the members
    that are alive hold equal shares. In a partition everything is as in a subscription that runs
    alone: a stream's events come in order, at least once, and into a projection exactly once.
    Partitions go on beside each other.

    The partitions of a member that died are taken over when its leases have run out, those of
    one that stopped, or that gives some to a newcomer, once the event in hand is dealt with. A
    member that cannot renew its leases cancels its handlers before they run out, and leaves a
    projection that is being written to its transaction, which fails then. One that was paused
    for longer writes nothing when it wakes up: each change of owner raises the epoch of a
    partition, and checkpoints, projections and parked events are only written under the latest.
    What a handler does elsewhere is not fenced: see `current_lease`.

    Run it like a subscription, in each process; it is a member from then on. It takes and gives
    partitions every second, or three times a lease where that is more often. An error that would
    end the subscription in one partition ends this member.

    Args:
        runner: a `Subscription` or a `Projector`, set up as if it were to run alone. It is not
            run itself, and keeps its checkpoints through an engine, not on a connection.
        partitions: how many there are: the most members that can have work. The number is kept
            with the checkpoints, and is for ever.
        lease: seconds, a day at most, for which a partition stays with a member that is not heard
            of.
        member: the name of this member, its own among all, of 200 characters at most; made up if
            there is none.

    Raises:
        ValueError: there is no partition, no time or more than a day, or the name is too long.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        partitions: int = 64,
        lease: float = 15.0,
        member: str | None = None,
    ) -> None:
        if partitions < 1 or not 0 < lease <= _LONGEST_LEASE:
            raise ValueError(
                "a group has one partition at least, a lease some seconds, up to a day"
            )
        super().__init__()
        self.name: str = runner.name
        made_up = f"{platform.node()[:150]}:{os.getpid()}:{new_id().hex[-8:]}"
        self.member: str = made_up if member is None else checked_name(member)
        self._runner, self._checkpoints = runner, runner._checkpoints
        self._partitions, self._lease = partitions, lease
        self._teller = Teller(runner.name, runner._options.observer)
        self._reset()

    def __repr__(self) -> str:
        return f"ConsumerGroup({self.name!r}, {self.member!r}, {self._state})"

    def _reset(self) -> None:
        runner = self._runner
        page = max(1, min(runner._options.batch_size * self._partitions, _LARGEST_PAGE))
        self._log = SharedLog(runner._log, self._partitions, page)
        self._holdings: list[Holding] = []
        self._members: Collection[str] = ()
        self._has_begun = False
        self._failure: BaseException | None = None
        self._takes_from = 0.0

    async def run(self) -> None:
        """Deal with a share of the partitions, until it is stopped.

        While the store or the checkpoints cannot be reached it waits and tries again. Cancelled,
        it cancels its handlers, and gives its partitions back.

        Raises:
            CheckpointAhead: events are missing in the store: the log ends before a checkpoint.
            PartitionMismatch: the group was begun with another number of partitions.
            SubscriptionTablesMissing: `create_subscription_tables` was not called.
            ProjectionOutdated: the tables are those of another version.
            TooManyParked: too many events were set aside, lately or before it was started.
            StoreUnavailable: the tables of the store are not there.
            RuntimeError: it is running already.
        """
        with self._alive():
            self._reset()
            stopped = asyncio.create_task(self._stopping.wait())
            try:
                with cancelled_elsewhere(self.name):
                    await self._go_on(stopped)
            except Exception as error:
                # Of what failed in a partition, its runner has told.
                if error is not self._failure:
                    self._teller.failed(error, "this member has ended")
                raise
            finally:
                stopped.cancel()
                await self._withdraw()

    async def stop(self) -> None:
        """Stop when the events in hand are dealt with. See `Subscription.stop`."""
        # At once: a partition that is being written may hold up the next renewal, in SQLite.
        for each in self._holdings:
            each.leave()
        await super().stop()

    async def health(self) -> GroupHealth:
        """How this member is. Raises what the store and the checkpoints raise."""
        holdings = [each for each in self._holdings if not each.is_over]
        found = [await each.runner.health() for each in holdings]
        seconds = [each.lag_seconds for each in found]
        errors = [each.last_error for each in found if each.last_error is not None]
        return GroupHealth(
            state=self._state_among(found),
            member=self.member,
            members=len(self._members),
            partitions=frozenset(each.held.partition for each in holdings),
            position=min((each.position for each in found), key=lambda at: at or 0, default=None),
            lag_events=max((each.lag_events for each in found), default=0),
            lag_seconds=None if None in seconds else max(filter(None, seconds), default=0.0),
            parked_streams=sum(each.parked_streams for each in found),
            last_error=errors[0] if errors else self._teller.last_error,
        )

    def _state_among(self, found: list[Health]) -> SubscriptionState:
        retrying = SubscriptionState.RETRYING
        return retrying if any(each.state is retrying for each in found) else self._state

    async def _go_on(self, stopped: "asyncio.Task[Any]") -> None:
        while self._holdings or not self._stopping.is_set():
            await self._beat()
            await self._rest(stopped)
            self._let_go()
        if self._failure is not None:
            raise self._failure

    async def _beat(self) -> None:
        """Renew, and come closer to a fair share."""
        if self._stopping.is_set():
            for each in self._holdings:
                each.leave()
        try:
            if not self._has_begun:
                await self._runner._partitions(self._partitions)
                self._has_begun = True
            await self._hold_share()
        except UNAVAILABLE as error:
            if is_for_good(error):
                raise
            self._teller.failed(error, "it tries again at its next beat")

    async def _hold_share(self) -> None:
        started = asyncio.get_running_loop().time()
        held = [each.held for each in self._holdings]
        renewal = await self._checkpoints.renew(self.name, self.member, held, lease=self._lease)
        for each in self._holdings:
            if each.held.partition in renewal.partitions:
                each.extend(started + self._lease * _USABLE)
        self._members = renewal.members
        if self._stopping.is_set():
            return
        share = fair_share(self._partitions, renewal.members, self.member)
        staying = [each for each in self._holdings if not each.is_leaving]
        for each in staying[share:]:
            each.leave()
        if share > len(self._holdings) and started >= self._takes_from:
            await self._take(share - len(self._holdings))

    async def _take(self, limit: int) -> None:
        started = asyncio.get_running_loop().time()
        taken = await self._checkpoints.acquire(
            self.name, self.member, limit=limit, lease=self._lease
        )
        for held in taken:
            until = started + self._lease * _USABLE
            self._holdings.append(Holding(self._runner, held, self._log, until))

    async def _rest(self, stopped: "asyncio.Task[Any]") -> None:
        """Wait for the next beat, for a partition that has ended, or to be stopped."""
        tasks = {each.task for each in self._holdings}
        if not self._stopping.is_set():
            tasks.add(stopped)
        if tasks:
            beat = self._beat_seconds
            await asyncio.wait(tasks, timeout=beat, return_when=asyncio.FIRST_COMPLETED)

    @property
    def _beat_seconds(self) -> float:
        return min(_LONGEST_BEAT, self._lease / 3)

    def _let_go(self) -> None:
        """Forget partitions that have ended; an error in one of them ends it all."""
        ended = [each for each in self._holdings if each.task.done()]
        # All are asked: asyncio reports what nobody asked for.
        failures = [each.failure for each in ended]
        self._failure = next(filter(None, [self._failure, *failures]), None)
        if not all(each.is_leaving for each in ended):
            # It may be lost again as soon as it is there.
            self._takes_from = asyncio.get_running_loop().time() + self._beat_seconds
        self._holdings = [each for each in self._holdings if not each.task.done()]
        if self._failure is not None:
            self._stopping.set()

    async def _withdraw(self) -> None:
        for each in self._holdings:
            each.cut()
        await asyncio.gather(*(each.task for each in self._holdings), return_exceptions=True)
        self._holdings = []
        self._log.close()
        with suppress(CheckpointUnavailable, SubscriptionTablesMissing, TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._checkpoints.leave(self.name, self.member)
