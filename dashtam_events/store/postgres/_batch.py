"""Appends that go to the server together, as the arrays that its function takes, and its answer."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import attrs

from dashtam_events.errors import VersionConflict
from dashtam_events.store._rows import Draft, Stored, check_expected, ids_of, repeated
from dashtam_events.store.postgres._reading import Reader
from dashtam_events.store.postgres._schema import APPEND
from dashtam_events.store.postgres._server import Fetch
from dashtam_events.store.protocol import ANY, EXISTS, NO_STREAM, Expected

__all__ = ["Job", "Outcome", "Pen"]

Outcome = Stored | BaseException
"""What became of an append."""

_EXPECTED = {ANY: -1, EXISTS: -2, NO_STREAM: 0}
_CONFLICT, _KNOWN = -2, -3
_NO_VERSION = 2**31 - 1


@attrs.frozen(eq=False)
class Job:
    """An append in encoded form, and its instant, unless that is the server's to say."""

    drafts: tuple[Draft, ...]
    instant: int | None


class _Arrays:
    """Columns that are filled job by job."""

    def __init__(self) -> None:
        self._streams: dict[str, int] = {}
        self._drafts: list[tuple[Any, ...]] = []
        self._events: list[tuple[Any, ...]] = []
        self._attached: list[tuple[Any, ...]] = []

    def add(self, number: int, job: Job) -> None:
        for draft in job.drafts:
            self._add(number, draft, job.instant)

    def _add(self, job: int, draft: Draft, instant: int | None) -> None:
        where = self._streams.setdefault(draft.stream, len(self._streams) + 1)
        expected = draft.append.expected
        wanted = (
            _EXPECTED[expected] if isinstance(expected, Expected) else min(expected, _NO_VERSION)
        )
        self._drafts.append((job, where, wanted, len(draft.cells), draft.metadata, instant))
        owner = len(self._drafts)
        self._events += [
            (UUID(bytes=cell[0]), *cell[1:], owner, nth) for nth, cell in enumerate(draft.cells, 1)
        ]
        for name, data in draft.append.attachments.items():
            self._attached.append((owner, name, data))

    def values(self) -> list[Sequence[Any]]:
        """Everything in the order in which the function takes it."""
        attached = zip(*self._attached, strict=True) if self._attached else ((), (), ())
        return [
            list(self._streams),
            *zip(*self._drafts, strict=True),
            *zip(*self._events, strict=True),
            *attached,
        ]


class Pen:
    """Writes jobs by one statement, over a connection of whatever kind."""

    def __init__(self, fetch: Fetch, reader: Reader, schema: str, busy_timeout: float) -> None:
        self._fetch, self._reader = fetch, reader
        self._sql = APPEND.format(schema=schema)
        # 0 would mean to wait for ever.
        self._wait = max(1, round(busy_timeout * 1000))

    async def write(self, jobs: Sequence[Job]) -> list[Outcome]:
        """What became of each job; where this raises, none is known to be written.

        What can be blamed on one job (a conflict, a duplicate) fails that one alone.
        """
        arrays = _Arrays()
        for number, job in enumerate(jobs, 1):
            arrays.add(number, job)
        ((places, heads, instant),) = await self._fetch(self._sql, self._wait, *arrays.values())
        answers = iter(list(zip(places, heads, strict=True)))
        return [
            await self._outcome(job, [next(answers) for _ in job.drafts], instant) for job in jobs
        ]

    async def _outcome(self, job: Job, answers: list[tuple[int, int]], instant: int) -> Outcome:
        if answers[0][0] == _KNOWN:
            return await self._again(job.drafts)
        rows: list[Any] = []
        for draft, (place, head) in zip(job.drafts, answers, strict=True):
            if place == _CONFLICT:
                return _conflict(draft, head)
            rows.append(draft.rows(place, head, instant if job.instant is None else job.instant))
        return Stored(rows=tuple(rows), repeated=False)

    async def _again(self, drafts: tuple[Draft, ...]) -> Outcome:
        """Some events are known: an append is either an earlier one again, or refused."""
        try:
            again = repeated(drafts, await self._reader.rows_of(ids_of(drafts)))
        except Exception as error:  # noqa: BLE001  # told to the caller of this job alone
            return error
        assert again is not None  # noqa: S101  # what was known stays known
        return again


def _conflict(draft: Draft, actual: int) -> Outcome:
    try:
        check_expected(draft.append, actual)
    except VersionConflict as error:
        return error
    raise AssertionError("the server refused what fits")
