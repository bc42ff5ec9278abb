"""Those who append: each does this or that by chance, and takes down what came of it."""

import asyncio
import random
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from dashtam_events.errors import DuplicateEvent, StoreBusy, StoreUnavailable, VersionConflict
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import StreamId
from dashtam_events.store import ANY, Append, AppendResult, EventStore
from dashtam_events.testing._store_samples import LampLit, LampPutOut
from tests.no_loss.history import Call, Entry, Outcome, Part

__all__ = ["MakeWriter", "Writer"]

SHARED = tuple(StreamId("shared", str(number)) for number in range(3))

MakeWriter = Callable[[str, EventStore, random.Random], "Writer"]


class Writer:
    """Appends 1 to 5 events at a time, to a stream of its own and to some that all share.

    It expects the version that it knows, which others may have passed; appends to two streams at
    once; appends again what it has appended; cancels an append and then asks for it again.
    """

    def __init__(self, name: str, store: EventStore, chance: random.Random) -> None:
        self.name, self.calls = name, list[Call]()
        self._store, self._chance = store, chance
        self._own = StreamId("own", name)
        self._versions: dict[StreamId, int] = {}
        self._last: Sequence[Append] = ()

    async def write(self, turns: int) -> None:
        """Append so many times."""
        while len(self.calls) < turns:
            (act,) = self._chance.choices(*zip(*self._acts(), strict=True))
            await act()
            # A store that never suspends would let nobody else come to their turn.
            await asyncio.sleep(0)

    def _acts(self) -> list[tuple[Callable[[], Any], int]]:
        """What it may do next, and how often."""
        return [
            (self._append_to_own, 6),
            (self._contend, 5),
            (self._append_to_shared, 2),
            (self._append_to_both, 3),
            (self._append_again, 1),
            (self._cancel, 1),
        ]

    async def _append_to_own(self) -> None:
        await self._append([self._expecting(self._own)])

    async def _contend(self) -> None:
        """Expect a version of a shared stream, until it is not in vain."""
        stream = self._chance.choice(SHARED)
        for _ in range(3):
            if await self._append([self._expecting(stream)]) is not Outcome.REFUSED:
                return

    async def _append_to_shared(self) -> None:
        await self._append([Append(stream=self._chance.choice(SHARED), events=self._events())])

    async def _append_to_both(self) -> None:
        """Neither stream gets anything where the shared one has moved on."""
        shared = self._chance.choice(SHARED)
        await self._append(
            [Append(stream=self._own, events=self._events()), self._expecting(shared)]
        )

    async def _append_again(self) -> None:
        if self._last:
            await self._append(self._last)

    async def _cancel(self) -> None:
        """Cancel an append at some point of its way, and make sure of it afterwards."""
        appends = [Append(stream=self._own, events=self._events())]
        invoked = monotonic()
        task = asyncio.create_task(self._store.append_many(appends))
        for _ in range(self._chance.randrange(5)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if task.cancelled():
            self._note(appends, invoked, Outcome.UNKNOWN)
            await self._append(appends)
        else:
            self._acknowledged(appends, invoked, task.result())

    def _events(self) -> list[DomainEvent]:
        kinds = self._chance.choices([LampLit, LampPutOut], k=self._chance.randint(1, 5))
        return [kind(number=number) for number, kind in enumerate(kinds)]

    def _expecting(self, stream: StreamId) -> Append:
        version = self._versions.get(stream, 0)
        return Append(stream=stream, events=self._events(), expected=version)

    async def _append(self, appends: Sequence[Append]) -> Outcome:
        invoked = monotonic()
        try:
            results = await self._store.append_many(appends)
        except (VersionConflict, DuplicateEvent, StoreBusy) as error:
            self._heed(error)
            return self._note(appends, invoked, Outcome.REFUSED)
        except StoreUnavailable:
            return self._note(appends, invoked, Outcome.UNKNOWN)
        return self._acknowledged(appends, invoked, results)

    def _heed(self, error: Exception) -> None:
        """A conflict says what the stream has come to."""
        if isinstance(error, VersionConflict):
            self._versions[StreamId.parse(error.stream)] = error.actual

    def _acknowledged(
        self, appends: Sequence[Append], invoked: float, results: Sequence[AppendResult]
    ) -> Outcome:
        outcome = self._note(appends, invoked, Outcome.ACKNOWLEDGED, results)
        self._last = appends
        for result in results:
            known = self._versions.get(result.stream, 0)
            self._versions[result.stream] = max(known, result.version)
        return outcome

    def _note(
        self,
        appends: Sequence[Append],
        invoked: float,
        outcome: Outcome,
        results: Sequence[AppendResult] = (),
    ) -> Outcome:
        call = Call(
            writer=self.name,
            parts=tuple(_part(append) for append in appends),
            invoked=invoked,
            returned=monotonic(),
            outcome=outcome,
            answer=tuple(Entry.of(recorded) for result in results for recorded in result.recorded),
        )
        self.calls.append(call)
        return outcome


def _part(append: Append) -> Part:
    return Part(
        stream=append.stream,
        events=tuple(event.event_id for event in append.events),
        expected=None if append.expected is ANY else int(append.expected),
    )
