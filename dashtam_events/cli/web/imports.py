"""Statements that are imported in the background, and what becomes of those that were cut off."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from dashtam_events._ids import new_id
from dashtam_events.catalogue import (
    FileImportAttempted,
    FileImportFailed,
    FileImportProgress,
    FileImportSucceeded,
)
from dashtam_events.cli.statement import import_events
from dashtam_events.cli.story import DEMO_USER
from dashtam_events.errors import VersionConflict
from dashtam_events.recorded import EventMetadata, RecordedEvent, StreamId
from dashtam_events.store.protocol import EventStore

__all__ = ["STATEMENTS", "Imports"]

_FOLDER = Path(__file__).parents[1] / "statements"
STATEMENTS = tuple(sorted(path.name for path in _FOLDER.glob("*.ofx")))
"""The statements that come with the library; one of them is broken."""

_UNDER_WAY = (FileImportAttempted, FileImportProgress)
_EVENTS = (*_UNDER_WAY, FileImportSucceeded, FileImportFailed)
_LEAST_PATIENCE = 2.0


class Imports:
    """The imports of this process; each is a stream that nobody else appends to.

    `pause` is how many seconds an import rests at each step.
    """

    def __init__(self, store: EventStore, *, pause: float) -> None:
        self._store = store
        self._pause = pause
        self._patience = _LEAST_PATIENCE + 5 * pause
        self._running: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    def begin(self, name: str, metadata: EventMetadata) -> StreamId:
        """Begin to import one of the statements; it goes on by itself.

        Raises:
            KeyError: there is no such statement.
        """
        if name not in STATEMENTS:
            raise KeyError(name)
        stream = StreamId("file_import", new_id())
        self._start(self._import(stream, _FOLDER / name, metadata))
        return stream

    def clear_up(self) -> None:
        """Begin to tell of imports that a process left behind when it was killed.

        From outside they look like those of another process that lives. One that lives has gone
        on after a while, and where it was only slow, the versions of its stream see to it that
        it has one end: whoever is told that the stream moved on steps back.
        """
        self._start(self._tell_interrupted())

    async def finish(self) -> None:
        """Let the imports under way come to their end, without a rest."""
        self._closing.set()
        await asyncio.gather(*self._running)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _import(self, stream: StreamId, path: Path, metadata: EventMetadata) -> None:
        steps = import_events(path, user_id=DEMO_USER, provider_slug="first_bank")
        version = 0
        with suppress(VersionConflict):
            while (event := await asyncio.to_thread(next, steps, None)) is not None:
                await self._store.append(stream, [event], expected=version, metadata=metadata)
                version += 1
                await self._rest(self._pause)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    async def _tell_interrupted(self) -> None:
        unfinished = await self._unfinished()
        if unfinished:
            await self._rest(self._patience)
        for last in unfinished:
            if not self._closing.is_set():
                await self._interrupt(last)

    async def _unfinished(self) -> list[RecordedEvent]:
        """The last event of each import that has not come to an end."""
        last: dict[StreamId, RecordedEvent] = {}
        async for recorded in self._store.read_all(subject=DEMO_USER, types=_EVENTS):
            last[recorded.stream] = recorded
        return [each for each in last.values() if isinstance(each.event, _UNDER_WAY)]

    async def _interrupt(self, last: RecordedEvent) -> None:
        about: Any = last.event
        failed = FileImportFailed(
            user_id=about.user_id,
            provider_slug=about.provider_slug,
            file_name=about.file_name,
            file_format=about.file_format,
            reason="interrupted",
        )
        metadata = last.metadata.following(about)
        with suppress(VersionConflict):
            await self._store.append(
                last.stream, [failed], expected=last.version, metadata=metadata
            )
