"""Streams and clocks that are not what a runner of processes counts on."""

from datetime import datetime

import pytest

from dashtam_events.processes import ProcessRunner
from dashtam_events.processes.events import DeadlineSet
from dashtam_events.recorded import StreamId
from tests.processes.houses import PLACED, House
from tests.processes.orders import NOON, Watch


async def test_a_stream_of_its_category_that_is_no_process_holds_up_no_deadline(
    house: House,
) -> None:
    stranger = StreamId(Watch.stream_category, "by-hand")
    await house.store.append(stranger, [DeadlineSet(name="payment", due_at=NOON)])
    await house.happen(PLACED)
    runner = house.runner()
    await runner.run_once()
    assert runner.next_deadline is not None
    assert runner.next_deadline > NOON


async def test_a_clock_that_tells_no_zone_is_refused_at_once(house: House) -> None:
    with pytest.raises(ValueError, match="the clock tells a naive time"):
        ProcessRunner(
            Watch,
            house.store,
            house.hands,
            checkpoints=house.checkpoints,
            clock=lambda: datetime(2026, 1, 1),  # noqa: DTZ001  # the mistake
        )
