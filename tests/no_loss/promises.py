"""The suite: each promise is a test; a store is a fixture of what the rules found in its runs."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import attrs

from tests.no_loss import rules
from tests.no_loss.history import History, Outcome
from tests.no_loss.rules import Rule, Violation
from tests.no_loss.runs import Load, run

__all__ = ["Findings", "NoLoss", "judge"]

WRITERS = (1, 4, 32)
MOST_APPENDS = 5_000
SHOWN = 5

Played = Coroutine[Any, Any, History]


class Findings:
    """What the rules found in some runs; of the runs themselves nothing is kept but counts."""

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self._violations: list[Violation] = []

    def add(self, history: History) -> None:
        """Judge one more run."""
        self.outcomes.update(call.outcome for call in history.calls)
        self._violations += rules.check(history)

    def of(self, rule: Rule) -> list[str]:
        """The first breaches of a rule."""
        return [each.what for each in self._violations if each.rule == rule.__name__][:SHOWN]


def judge(
    place: Callable[[], Load], appends: int, play: Callable[[Load], Played] = run
) -> Findings:
    """Run with one, with some and with many writers, so many appends in all.

    `place` makes somewhere new for each run, `play` does it.
    """
    findings = Findings()
    for number, (writers, share) in enumerate(_shares(appends)):
        load = attrs.evolve(place(), writers=writers, appends=share, seed=number)
        findings.add(asyncio.run(play(load)))
    return findings


def _shares(appends: int) -> Iterator[tuple[int, int]]:
    """The writers and the appends of each run; a long one would need much memory to be judged."""
    each = appends // len(WRITERS)
    for writers in WRITERS:
        for done in range(0, each, MOST_APPENDS):
            yield writers, min(MOST_APPENDS, each - done)


class NoLoss:
    """What a store promises, one test each; the rules say it in full."""

    def test_the_runs_were_hard(self, findings: Findings) -> None:
        """Without appends that stand, that are refused and that are cancelled, it shows little."""
        assert all(findings.outcomes[outcome] > 0 for outcome in Outcome)

    def test_acknowledged_appends_are_read(self, findings: Findings) -> None:
        assert findings.of(rules.acknowledged_is_read) == []

    def test_refused_and_rolled_back_appends_are_never_read(self, findings: Findings) -> None:
        assert findings.of(rules.refused_is_not_read) == []

    def test_an_event_is_stored_once_however_often_it_is_appended(self, findings: Findings) -> None:
        assert findings.of(rules.stored_once) == []

    def test_versions_count_a_stream_without_holes(self, findings: Findings) -> None:
        assert findings.of(rules.versions_contiguous) == []

    def test_one_append_wins_an_expected_version(self, findings: Findings) -> None:
        assert findings.of(rules.one_winner) == []

    def test_appends_are_whole(self, findings: Findings) -> None:
        assert findings.of(rules.appends_whole) == []

    def test_the_log_keeps_the_order_of_each_stream(self, findings: Findings) -> None:
        assert findings.of(rules.streams_in_order) == []

    def test_the_log_keeps_the_order_of_real_time(self, findings: Findings) -> None:
        assert findings.of(rules.real_time_in_order) == []

    def test_readers_miss_nothing(self, findings: Findings) -> None:
        assert findings.of(rules.readers_miss_nothing) == []

    def test_readers_repeat_nothing(self, findings: Findings) -> None:
        assert findings.of(rules.readers_repeat_nothing) == []

    def test_everybody_reads_the_same_log(self, findings: Findings) -> None:
        assert findings.of(rules.readers_agree) == []

    def test_a_stream_is_what_the_log_has_of_it(self, findings: Findings) -> None:
        assert findings.of(rules.streams_agree) == []

    def test_nobody_stalls(self, findings: Findings) -> None:
        assert findings.of(rules.nobody_stalls) == []
