"""Ways to break one promise in a history that keeps them all."""

from collections.abc import Callable, Sequence
from uuid import UUID

import attrs

from tests.no_loss import rules
from tests.no_loss.history import Entry, History, Outcome, Part, Reading
from tests.no_loss.rules import Rule

__all__ = ["SPOILED"]

Spoil = Callable[[History], History]
LONG = 100.0


def _with_last_call(history: History, **changes: object) -> History:
    last = attrs.evolve(history.calls[-1], **changes)  # type: ignore[arg-type]  # its own attributes
    return attrs.evolve(history, calls=(*history.calls[:-1], last))


def _with_reading(history: History, **changes: object) -> History:
    """Let the reader that wants everything have seen something else."""
    first = attrs.evolve(history.readings[0], **changes)  # type: ignore[arg-type]  # its own attributes
    return attrs.evolve(history, readings=(first, *history.readings[1:]))


def _changed(history: History, change: Callable[[Entry], Entry | None]) -> History:
    """Each entry changed, or left out, wherever it is told of."""

    def every(entries: Sequence[Entry]) -> tuple[Entry, ...]:
        changed = (change(entry) for entry in entries)
        return tuple(sorted((each for each in changed if each is not None), key=_position))

    def read(reading: Reading) -> Reading:
        seen = every(reading.seen)
        return attrs.evolve(reading, seen=seen, times=reading.times[: len(seen)])

    return attrs.evolve(
        history,
        calls=tuple(attrs.evolve(call, answer=every(call.answer)) for call in history.calls),
        readings=tuple(map(read, history.readings)),
        log=every(history.log),
        streams={stream: every(entries) for stream, entries in history.streams.items()},
    )


def _position(entry: Entry) -> int:
    return entry.position


def lose_what_was_acknowledged(history: History) -> History:
    kept = history.calls[-1].answer
    lost = _changed(history, lambda entry: None if entry in kept else entry)
    return attrs.evolve(lost, calls=history.calls)


def acknowledge_another_position(history: History) -> History:
    first, *rest = history.calls[-1].answer
    moved = attrs.evolve(first, position=first.position + 1000)
    return _with_last_call(history, answer=(moved, *rest))


def refuse_what_stands(history: History) -> History:
    return _with_last_call(history, outcome=Outcome.REFUSED, answer=())


def show_what_nobody_appended(history: History) -> History:
    reading = history.readings[0]
    made_up = attrs.evolve(history.log[-1], event=UUID(int=0), position=10_000)
    return _with_reading(
        history, seen=(*reading.seen, made_up), times=(*reading.times, reading.ended)
    )


def store_twice(history: History) -> History:
    again = attrs.evolve(history.log[-1], position=10_000)
    return attrs.evolve(history, log=(*history.log, again))


def leave_a_version_out(history: History) -> History:
    last = history.log[-1]
    return _changed(history, lambda entry: _at_version(entry, entry.version + (entry == last)))


def give_a_version_twice(history: History) -> History:
    last = history.log[-1]
    return _changed(history, lambda entry: _at_version(entry, entry.version - (entry == last)))


def _at_version(entry: Entry, version: int) -> Entry:
    return attrs.evolve(entry, version=version)


def let_two_win(history: History) -> History:
    """Another append that expects the same, and stands behind the one that won."""
    call = history.calls[-1]
    part = attrs.evolve(call.parts[0], expected=call.answer[0].version - 1)
    late = attrs.evolve(
        history.log[-1], event=UUID(int=0), position=10_000, version=call.answer[0].version
    )
    twin = attrs.evolve(
        call,
        parts=(Part(stream=part.stream, events=(late.event,), expected=part.expected),),
        answer=(late,),
    )
    calls = (*history.calls[:-1], attrs.evolve(call, parts=(part, *call.parts[1:])), twin)
    return attrs.evolve(history, calls=calls, log=(*history.log, late))


def come_between(history: History) -> History:
    call = history.calls[-1]
    part = attrs.evolve(call.parts[0], expected=call.answer[0].version)
    return _with_last_call(history, parts=(part, *call.parts[1:]))


def store_a_part(history: History) -> History:
    last = history.log[-1]
    return _changed(history, lambda entry: None if entry == last else entry)


def part_an_append(history: History) -> History:
    """Let the last event of one append and the first of the next change places."""
    first = history.calls[-1].answer[0]
    return _exchanged(history, history.log[history.log.index(first) - 1], first)


def reorder_a_stream(history: History) -> History:
    return _exchanged(history, history.log[-2], history.log[-1])


def _exchanged(history: History, one: Entry, other: Entry) -> History:
    positions = {one: other.position, other: one.position}
    return _changed(
        history, lambda entry: attrs.evolve(entry, position=positions.get(entry, entry.position))
    )


def show_a_part(history: History) -> History:
    ends = history.readings[0].ends
    return _with_reading(history, ends=tuple(sorted({1, *ends})))


def acknowledge_before_the_others_ask(history: History) -> History:
    return _with_last_call(history, invoked=-LONG, returned=-LONG)


def miss(history: History) -> History:
    reading = history.readings[0]
    return _with_reading(history, seen=reading.seen[1:], times=reading.times[1:])


def repeat(history: History) -> History:
    reading = history.readings[0]
    return _with_reading(
        history, seen=(*reading.seen, reading.seen[0]), times=(*reading.times, reading.ended)
    )


def show_in_another_order(history: History) -> History:
    first, second, *rest = history.readings[0].seen
    return _with_reading(history, seen=(second, first, *rest))


def show_at_another_position(history: History) -> History:
    first, *rest = history.readings[0].seen
    return _with_reading(history, seen=(attrs.evolve(first, position=0), *rest))


def give_a_position_twice(history: History) -> History:
    before, last = history.log[-2:]
    same = attrs.evolve(last, position=before.position)
    return attrs.evolve(history, log=(*history.log[:-1], same))


def shorten_a_stream(history: History) -> History:
    stream = history.log[-1].stream
    return attrs.evolve(history, streams={**history.streams, stream: history.streams[stream][:-1]})


def keep_a_writer_waiting(history: History) -> History:
    return _with_last_call(history, returned=history.calls[-1].returned + LONG)


def keep_a_reader_waiting(history: History) -> History:
    *times, last = history.readings[0].times
    return _with_reading(history, times=(*times, last + LONG), ended=last + LONG)


def show_no_more(history: History) -> History:
    reading = history.readings[0]
    return _with_reading(
        history, seen=reading.seen[:-1], times=reading.times[:-1], ended=reading.ended + LONG
    )


SPOILED: Sequence[tuple[Spoil, Rule]] = (
    (lose_what_was_acknowledged, rules.acknowledged_is_read),
    (acknowledge_another_position, rules.acknowledged_is_read),
    (refuse_what_stands, rules.refused_is_not_read),
    (show_what_nobody_appended, rules.refused_is_not_read),
    (store_twice, rules.stored_once),
    (leave_a_version_out, rules.versions_contiguous),
    (give_a_version_twice, rules.versions_contiguous),
    (let_two_win, rules.one_winner),
    (come_between, rules.one_winner),
    (store_a_part, rules.appends_whole),
    (part_an_append, rules.appends_whole),
    (show_a_part, rules.appends_whole),
    (reorder_a_stream, rules.streams_in_order),
    (acknowledge_before_the_others_ask, rules.real_time_in_order),
    (miss, rules.readers_miss_nothing),
    (repeat, rules.readers_repeat_nothing),
    (show_in_another_order, rules.readers_agree),
    (show_at_another_position, rules.readers_agree),
    (give_a_position_twice, rules.readers_agree),
    (shorten_a_stream, rules.streams_agree),
    (keep_a_writer_waiting, rules.nobody_stalls),
    (keep_a_reader_waiting, rules.nobody_stalls),
    (show_no_more, rules.nobody_stalls),
)
"""How a history is spoiled, and the rule that has to say so."""
