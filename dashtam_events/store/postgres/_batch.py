"""Appends that go to the server together, as the arrays that its function takes, and its answer."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import attrs

from dashtam_events.errors import DuplicateEvent, StoreError, StoreUnavailable, VersionConflict
from dashtam_events.store._rows import Draft, Row, Stored, check_expected, ids_of, repeated
from dashtam_events.store.postgres._failures import KNOWN
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
    """Writes jobs by one statement, over a connection of whatever kind.

    Args:
        fetch: asks the function that appends.
        reader: asks over the same connection.
        schema: the schema of that function.
        busy_timeout: how many seconds it waits for its lock.
        careful: never break a constraint, at the price of a look for known events beforehand.
    """

    def __init__(
        self, fetch: Fetch, reader: Reader, schema: str, busy_timeout: float, *, careful: bool
    ) -> None:
        self._fetch, self._reader, self._careful = fetch, reader, careful
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
        places, heads, instant = await self._append(arrays.values())
        answers = iter(list(zip(places, heads, strict=True)))
        outcomes = [_outcome(job, [next(answers) for _ in job.drafts], instant) for job in jobs]
        refused = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, Stored)]
        if refused:
            known = await self._known([jobs[n] for n in refused])
            for n in refused:
                outcomes[n] = _explained(jobs[n], outcomes[n], known)
        return outcomes

    async def _append(self, values: Sequence[Any]) -> Any:
        careful = self._careful
        while True:
            try:
                (answer,) = await self._fetch(self._sql, self._wait, careful, *values)
            except StoreUnavailable as error:
                if careful or error.code != KNOWN:
                    raise
                careful = True
            else:
                return answer

    async def _known(self, jobs: Sequence[Job]) -> Mapping[bytes, Row] | StoreError:
        """The rows of those events that are stored; what is written stays so where this fails."""
        try:
            return await self._reader.rows_of([one for job in jobs for one in ids_of(job.drafts)])
        except StoreError as error:
            return error


def _outcome(job: Job, answers: list[tuple[int, int]], instant: int) -> Outcome:
    if answers[0][0] == _KNOWN:
        return DuplicateEvent(UUID(bytes=job.drafts[0].cells[0][0]))
    rows: list[list[Row]] = []
    at = instant if job.instant is None else job.instant
    for draft, (place, head) in zip(job.drafts, answers, strict=True):
        if place == _CONFLICT:
            return _conflict(draft, head)
        rows.append(draft.rows(place, head, at))
    return Stored(rows=tuple(rows), repeated=False)


def _explained(job: Job, refusal: Outcome, known: Mapping[bytes, Row] | StoreError) -> Outcome:
    """An append that was refused is either an earlier one again, or really refused."""
    if isinstance(known, StoreError):
        return known
    theirs = {one: known[one] for one in ids_of(job.drafts) if one in known}
    try:
        return repeated(job.drafts, theirs) or refusal
    except DuplicateEvent as error:
        return error


def _conflict(draft: Draft, actual: int) -> Outcome:
    try:
        check_expected(draft.append, actual)
    except VersionConflict as error:
        return error
    raise AssertionError("the server refused what fits")
