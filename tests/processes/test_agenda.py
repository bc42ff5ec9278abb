"""The agenda knows who is to be woken next, whatever was moved, and does not grow by it."""

from datetime import datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from dashtam_events.processes._agenda import Agenda
from tests.processes.orders import MINUTE, NOON

TIMES = st.none() | st.integers(0, 20).map(lambda minutes: NOON + minutes * MINUTE)
NOTES = st.lists(st.tuples(st.integers(1, 4).map(lambda number: UUID(int=number)), TIMES))


@given(NOTES, NOTES)
def test_it_is_what_a_plain_mapping_says(
    first: list[tuple[UUID, datetime | None]], notes: list[tuple[UUID, datetime | None]]
) -> None:
    known = {process_id: due_at for process_id, due_at in first if due_at is not None}
    agenda = Agenda(known.items())
    for process_id, due_at in notes:
        agenda.note(process_id, due_at)
        if due_at is None:
            known.pop(process_id, None)
        else:
            known[process_id] = due_at
        earliest = min(known.values(), default=None)
        assert agenda.next_due == earliest
        now = NOON + 10 * MINUTE
        woken = agenda.first_due(now)
        if earliest is None or earliest > now:
            assert woken is None
        else:
            assert woken is not None
            assert known[woken] == earliest


def test_moving_a_deadline_for_ever_takes_no_more_room() -> None:
    agenda = Agenda()
    for number in range(5_000):
        agenda.note(UUID(int=1), NOON + number * MINUTE)
    assert len(agenda._heap) < 1_000
    assert agenda.next_due == NOON + 4_999 * MINUTE
