"""Bugs that others have had, planted in stores and readers: what the rules must catch."""

import asyncio
import random
import re
from contextlib import suppress
from typing import Any, ClassVar, Self

import attrs
from msgspec.structs import replace

from dashtam_events.errors import VersionConflict
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store import ANY, EventStore, InMemoryEventStore, SQLiteEventStore
from dashtam_events.store._rows import Draft, Row, Stored
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions import InMemoryCheckpointStore, Subscription
from dashtam_events.testing._store_samples import LampPutOut
from tests.no_loss.readers import NEVER, Notes
from tests.postgres_server import asking

__all__ = [
    "AmnesicStore",
    "BackwardStore",
    "CachingStore",
    "DeafStore",
    "EagerStore",
    "EarlyStore",
    "LooseStore",
    "SilentStore",
    "TornStore",
    "UncountedStore",
    "UnlockedStore",
    "acknowledge_early",
    "deal_at_once",
    "resume_early",
    "skip_to_the_end",
]


class UnlockedStore(InMemoryEventStore):
    """Looks where an append is to stand, and lets others do so too before it stands there."""

    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        rows = self._placed(drafts)
        await asyncio.sleep(0)
        for draft, added in zip(drafts, rows, strict=True):
            self._keep(draft, added)
        self._arrivals.announce(len(self._log))
        return Stored(rows=rows, repeated=False)


class EagerStore(InMemoryEventStore):
    """Acknowledges an append before it writes it; nobody hears that it could not be written."""

    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        rows = self._placed(drafts)
        asyncio.get_running_loop().call_soon(self._write, drafts)
        return Stored(rows=rows, repeated=False)

    def _write(self, drafts: tuple[Draft, ...]) -> None:
        with suppress(VersionConflict):
            for draft, added in zip(drafts, self._placed(drafts), strict=True):
                self._keep(draft, added)
        self._arrivals.announce(len(self._log))


class TornStore(InMemoryEventStore):
    """Commits the first event of an append, and then the others."""

    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        (draft, *more) = drafts
        if more or len(draft.cells) == 1:
            return await super()._store(drafts)
        behind = attrs.evolve(draft.append, expected=ANY)
        first = await super()._store((replace(draft, cells=draft.cells[:1]),))
        await asyncio.sleep(0)
        rest = replace(draft, append=behind, cells=draft.cells[1:])
        second = await super()._store((rest,))
        return Stored(rows=(first.rows[0] + second.rows[0],), repeated=False)


class UncountedStore(InMemoryEventStore):
    """Takes versions from a counter that all streams share."""

    def _placed(self, drafts: tuple[Draft, ...]) -> tuple[list[Row], ...]:
        return tuple([[*map(_counted, rows)] for rows in super()._placed(drafts)])


def _counted(row: Row) -> Row:
    return (*row[:3], row[0], *row[4:])


class AmnesicStore(InMemoryEventStore):
    """Forgets the ids of the events that it has."""

    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        self._by_id.clear()
        return await super()._store(drafts)


class BackwardStore(InMemoryEventStore):
    """Gives positions to the events of an append from the last to the first."""

    def _placed(self, drafts: tuple[Draft, ...]) -> tuple[list[Row], ...]:
        return tuple([_backward(rows) for rows in super()._placed(drafts)])

    def _keep(self, draft: Draft, rows: list[Row]) -> None:
        super()._keep(draft, rows)
        self._log[-len(rows) :] = rows[::-1]


def _backward(rows: list[Row]) -> list[Row]:
    return [(other[0], *row[1:]) for row, other in zip(rows, reversed(rows), strict=True)]


class DeafStore(SQLiteEventStore):
    """Does not look for the appends of others to the same file."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._session._start_polling = lambda: None  # type: ignore[method-assign]  # the bug
        return self


class LooseStore(PostgresEventStore):
    """Appends beside the caller's transaction, not in it."""

    def within(self, transaction: Any) -> Any:
        return self


class PatchedStore(PostgresEventStore):
    """Appends by a function in which some texts were replaced by others."""

    _patches: ClassVar[tuple[tuple[str, str], ...]]

    def __init__(self, dsn: str, *, schema: str, **options: Any) -> None:
        super().__init__(dsn, schema=schema, **options)
        self._dsn, self._schema = dsn, schema

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        async with asking(self._dsn) as connection:
            await self._patch(connection)
        return self

    async def _patch(self, connection: Any) -> None:
        """Once, by the first of the stores that share the schema."""
        if await connection.fetchval("SELECT to_regclass($1)", f"{self._schema}.numbers"):
            return
        await connection.execute(f"CREATE SEQUENCE {self._schema}.numbers CACHE 5")
        name = f"{self._schema}.append"
        function = await connection.fetchval("SELECT pg_get_functiondef($1::regproc)", name)
        for old, new in self._patches:
            function, times = re.subn(old, new.format(schema=self._schema), function)
            assert times == 1, f"the function has changed: there is no {old}"
        await connection.execute(function)


_WITHOUT_LOCK = (r"PERFORM pg_advisory_xact_lock\(-?\d+\);", "")
_WITHOUT_NOTIFICATION = (r"PERFORM pg_notify\('\w+', last::text\);", "")
_FROM_A_SEQUENCE = (
    "last := start;",
    "start := 1000 * nextval('{schema}.numbers'); last := start;",
)


class EarlyStore(PatchedStore):
    """Gives positions out before the commit: who goes on behind the last one misses the late."""

    _patches = (_WITHOUT_LOCK, _FROM_A_SEQUENCE)


class CachingStore(PatchedStore):
    """Takes positions from a sequence with a cache, of which each connection has numbers."""

    _patches = (_FROM_A_SEQUENCE,)


class SilentStore(PatchedStore):
    """Tells nobody of what it appended."""

    _patches = (_WITHOUT_NOTIFICATION,)


async def resume_early(store: EventStore, notes: Notes) -> None:
    """Keep where a page began, not where it ended, before the line breaks."""
    after: Position | None = None
    while True:
        found = [recorded async for recorded in store.read_all(after=after, limit=7)]
        for recorded in found:
            notes.saw(recorded)
        if found:
            after = found[0].position
        else:
            await store.wait(after=after, timeout=NEVER)
        await asyncio.sleep(0)


async def skip_to_the_end(store: EventStore, notes: Notes) -> None:
    """Read what is wanted, and then ask how far the log goes by now, to go on from there."""
    notes.types = frozenset({LampPutOut.__name__})
    after: Position | None = None
    while True:
        async for recorded in store.read_all(after=after, types=[LampPutOut]):
            notes.saw(recorded)
        await asyncio.sleep(0)
        after = await store.last_position()
        await store.wait(after=after, timeout=NEVER)


async def deal_at_once(store: EventStore, notes: Notes) -> None:
    """Deal with the events of a page at the same time."""
    chance = random.Random(1)

    async def deal(recorded: RecordedEvent) -> None:
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        notes.saw(recorded)

    after: Position | None = None
    while True:
        found = [recorded async for recorded in store.read_all(after=after, limit=7)]
        await asyncio.gather(*map(deal, found))
        after = found[-1].position if found else after
        await store.wait(after=after, timeout=NEVER)


class _Buffer:
    """Says of each event that it is dealt with, and writes seven of them together."""

    def __init__(self, notes: Notes) -> None:
        self._notes, self._waiting = notes, list[RecordedEvent]()

    async def __call__(self, recorded: RecordedEvent) -> None:
        self._waiting.append(recorded)
        if len(self._waiting) == 7:
            for each in self._waiting:
                self._notes.saw(each)
            self._waiting.clear()


async def acknowledge_early(store: EventStore, notes: Notes) -> None:
    """Subscribe with a handler that acknowledges before it writes; what waits dies with it."""
    checkpoints = InMemoryCheckpointStore()
    while True:
        handler = _Buffer(notes)
        async with Subscription("buffer", store, handler, checkpoints=checkpoints, poll=NEVER):
            await notes.grow(70)
