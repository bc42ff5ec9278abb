"""A partition while a member of a group holds it."""

import asyncio
from contextlib import suppress

from dashtam_events.subscriptions._log import SharedLog
from dashtam_events.subscriptions._options import Part
from dashtam_events.subscriptions._runner import Runner
from dashtam_events.subscriptions.checkpoint import Checkpoint
from dashtam_events.subscriptions.errors import (
    CheckpointConflict,
    CheckpointUnavailable,
    WorkCancelled,
)
from dashtam_events.subscriptions.partitions import CURRENT, Lease

__all__ = ["FAREWELL_SECONDS", "Holding"]

FAREWELL_SECONDS = 3.0
"""For giving something back; then it comes back by itself when its lease has run out."""


class Holding:
    """Deals with a partition in a task of its own, until it is told to leave or time is up.

    When it ends, the partition is given back, unless it was cut: then its time is up, or the member
    leaves and gives all back.

    Args:
        runner: what deals with partitions; here, with this one.
        held: its checkpoint as it was acquired.
        log: what its members read.
        until: when time is up, by the clock of the event loop.
    """

    def __init__(self, runner: Runner, held: Checkpoint, log: SharedLog, until: float) -> None:
        self.held = held
        part = Part(held=held, log=log.part(held.partition), is_held=self._is_held)
        self.runner = runner._confined(part)
        self.is_leaving = self.is_over = self._is_cut = False
        self._checkpoints = runner._checkpoints
        self._loop = asyncio.get_running_loop()
        self.task = asyncio.create_task(self._work())
        self._until = until
        self._alarm = self._loop.call_at(until, self._run_out)

    def extend(self, until: float) -> None:
        """Go on until then, unless it is too late."""
        if not (self.is_over or self._is_cut):
            self._alarm.cancel()
            self._until = until
            self._alarm = self._loop.call_at(until, self._run_out)

    def leave(self) -> None:
        """End when the event in hand is dealt with."""
        self.is_leaving = True
        self.runner._stopping.set()

    def cut(self) -> None:
        """End at once."""
        if not self._is_cut:
            self._is_cut = True
            self.task.cancel()

    def _run_out(self) -> None:
        if self.runner._is_fenced:
            # Nobody else can take what it is writing; undone, it would take as long again.
            self.leave()
        else:
            self.cut()

    @property
    def failure(self) -> BaseException | None:
        """What is wrong with how it ended."""
        if not self.task.cancelled():
            return self.task.exception()
        return None if self._is_cut else WorkCancelled(self.held.subscription)

    def _is_held(self) -> bool:
        return self._loop.time() < self._until

    async def _work(self) -> None:
        held = self.held
        lease = Lease(
            subscription=held.subscription,
            partition=held.partition,
            member=held.owner or "",
            epoch=held.epoch,
        )
        CURRENT.set(lease)
        try:
            # It may be told to leave before it has come to run.
            if not self.is_leaving:
                await self.runner.run()
        except (CheckpointConflict, CheckpointUnavailable):
            # The runner has told of it; the partition goes on with somebody.
            return
        finally:
            self.is_over = True
            self._alarm.cancel()
            if not self._is_cut:
                await self._give_back()

    async def _give_back(self) -> None:
        with suppress(CheckpointUnavailable, TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._checkpoints.release(self.held)
