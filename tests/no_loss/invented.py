"""Histories that nobody lived through, made by chance, in which every promise is kept."""

import random
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import attrs

from dashtam_events.recorded import StreamId
from tests.no_loss.history import Call, Entry, History, Outcome, Part, Reading

__all__ = ["correct"]

PATIENCE = 20.0
STREAMS = tuple(StreamId("stream", name) for name in "abc")


class _Sequential:
    """Appends that take effect one after the other, though they overlap in time."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.calls: list[Call] = []
        self.log: list[Entry] = []
        self.effects: list[float] = []
        self.boundaries: list[int] = [0]
        self._heads: Counter[StreamId] = Counter()

    def append(self, moment: float) -> None:
        """An append that stands, and that the writer knows to stand."""
        parts, answer = self._stand(moment)
        self._note(parts, moment, Outcome.ACKNOWLEDGED, answer)

    def append_unknown(self, moment: float) -> None:
        """An append that stands, and the answer is lost."""
        parts, _ = self._stand(moment)
        self._note(parts, moment, Outcome.UNKNOWN)

    def refuse(self, moment: float) -> None:
        """An append that expects what is not so, or is rolled back."""
        part = self._part()
        wrong = self._chance.choice([None, self._heads[part.stream] + 1])
        self._note([attrs.evolve(part, expected=wrong)], moment, Outcome.REFUSED)

    def lose(self, moment: float) -> None:
        """An append that does not stand, which the writer does not know."""
        self._note([self._part()], moment, Outcome.UNKNOWN)

    def append_again(self, moment: float) -> None:
        """The same append once more, and the same answer."""
        first = self.calls[0]
        self._note(first.parts, moment, Outcome.ACKNOWLEDGED, first.answer)

    def _part(self) -> Part:
        stream = self._chance.choice(STREAMS)
        events = [self._id() for _ in range(self._chance.randint(2, 5))]
        expected = self._chance.choice([None, self._heads[stream]])
        return Part(stream=stream, events=tuple(events), expected=expected)

    def _id(self) -> UUID:
        return UUID(int=self._chance.getrandbits(128))

    def _stand(self, moment: float) -> tuple[list[Part], list[Entry]]:
        """An append to one stream or more, and where it stands at the end of the log."""
        parts: list[Part] = []
        start = len(self.log)
        for _ in range(self._chance.randint(1, 2)):
            part = self._part()
            parts.append(part)
            self.log += [
                self._entry(part.stream, event, nth)
                for nth, event in enumerate(part.events, len(self.log))
            ]
        self.effects += [moment] * (len(self.log) - start)
        self.boundaries.append(len(self.log))
        return parts, self.log[start:]

    def _entry(self, stream: StreamId, event: UUID, nth: int) -> Entry:
        self._heads[stream] += 1
        return Entry(
            position=10 * nth + self._chance.randint(1, 9),
            stream=stream,
            version=self._heads[stream],
            event=event,
            type=self._chance.choice(["One", "Other"]),
        )

    def _note(
        self, parts: Sequence[Part], moment: float, outcome: Outcome, answer: Sequence[Entry] = ()
    ) -> None:
        call = Call(
            writer=f"writer_{self._chance.randint(1, 3)}",
            parts=tuple(parts),
            invoked=moment - self._chance.uniform(0, 3),
            returned=moment + self._chance.uniform(0, 3),
            outcome=outcome,
            answer=tuple(answer),
        )
        self.calls.append(call)

    def read(self, types: frozenset[str] | None = None) -> Reading:
        """What a reader sees who comes a little later, and to the end of the log now and then."""
        seen: list[Entry] = []
        times: list[float] = [0.0]
        ends: list[int] = []
        for nth, (entry, moment) in enumerate(zip(self.log, self.effects, strict=True)):
            if nth in self.boundaries and self._chance.random() < 0.3:
                ends.append(len(seen))
            if types is None or entry.type in types:
                seen.append(entry)
                times.append(max(times[-1], moment + self._chance.uniform(0, 2)))
        return Reading(
            reader="reader" if types is None else "choosy reader",
            seen=tuple(seen),
            times=tuple(times[1:]),
            began=times[0],
            ended=times[-1] + 1,
            types=types,
            ends=tuple(ends),
        )


def correct(chance: random.Random) -> History:
    """A history that keeps every promise; its first and last append stand and are known to."""
    store = _Sequential(chance)
    store.append(1.0)
    acts = (store.append, store.append_unknown, store.refuse, store.lose, store.append_again)
    for moment in range(2, chance.randint(4, 12)):
        chance.choice(acts)(float(moment))
    store.append_unknown(20.0)
    store.append(21.0)
    return History(
        calls=tuple(store.calls),
        readings=(store.read(), store.read(frozenset({"One"}))),
        log=tuple(store.log),
        streams={
            stream: tuple(entry for entry in store.log if entry.stream == stream)
            for stream in STREAMS
        },
        patience=PATIENCE,
    )
