"""A store that is busy or away is waited for, whoever meets it, and nothing is parked for it."""

import asyncio
from datetime import timedelta
from typing import Literal

import pytest

from dashtam_events.errors import StoreBusy, StoreUnavailable
from dashtam_events.processes import ProcessRunner
from dashtam_events.recorded import StreamId
from dashtam_events.subscriptions import CheckpointUnavailable, ParkedState, SubscriptionState
from dashtam_events.testing import FaultyEventStore, HeldClock
from tests.postgres_server import Open, asking
from tests.processes.houses import BEGUN, ONE, PLACED, REMINDED, TWO, House, begun, have, until
from tests.processes.orders import (
    REGISTRY,
    OrderPaid,
    OrderPlaced,
    Send,
    Thank,
    told,
)


async def test_a_store_that_fails_for_a_while_is_waited_for(house: House) -> None:
    faulty = FaultyEventStore(house.store)
    await house.happen(PLACED)
    async with house.runner(faulty, poll=0.05) as runner:
        await until(lambda: begun(house))
        for verb in ("append", "read_stream", "wait", "read_all"):
            faulty.fail(on=verb, nth=1, when="before")
        faulty.fail(on="append", nth=2, when="after")
        house.clock.advance(timedelta(minutes=10))
        await until(lambda: have(house, 1))
        assert faulty.unfired == 0
        error = (await runner.health()).last_error
        assert error is not None
        assert error.type == StoreUnavailable.__name__
    assert await told(house.store, ONE) == BEGUN + REMINDED


AWAY = [
    StoreBusy("store", 5.0),
    StoreUnavailable("store", "gone"),
    CheckpointUnavailable("watch", "OperationalError"),
]


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("verb", ["append", "read_stream"])
async def test_a_store_that_is_away_for_long_has_nothing_parked(
    house: House, verb: Literal["append", "read_stream"], error: Exception
) -> None:
    faulty = FaultyEventStore(house.store)
    for nth in range(1, 30):
        faulty.fail(on=verb, nth=nth, error=error)
    await house.happen(PLACED)
    async with house.runner(faulty):
        await until(lambda: begun(house))
    assert faulty.unfired == 0
    assert await house.checkpoints.parked() == ()


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
async def test_a_command_whose_own_store_is_away_waits_for_it(
    house: House, error: Exception
) -> None:
    await house.happen(PLACED, OrderPaid(order=ONE))
    house.hands.errors = [error] * 20
    async with house.runner():
        await until(lambda: have(house, 22))
    assert await house.checkpoints.parked() == ()
    assert [type(each) for each in house.hands.commands] == [Send] * 21 + [Thank]


async def test_run_once_raises_that_the_store_is_away_and_goes_on_from_there(house: House) -> None:
    await house.happen(PLACED)
    faulty = FaultyEventStore(house.store)
    faulty.fail()
    runner = house.runner(faulty)
    with pytest.raises(StoreUnavailable):
        await runner.run_once()
    await runner.run_once()
    assert await told(house.store, ONE) == BEGUN


async def test_what_was_executed_is_not_executed_again_until_it_can_be_noted(house: House) -> None:
    await house.happen(PLACED, OrderPaid(order=ONE))
    faulty = FaultyEventStore(house.store)
    async with house.runner(faulty):
        # Both events are reacted to, and the command is executed, before the first fault.
        for nth in range(3, 12):
            faulty.fail(nth=nth)
        await until(lambda: have(house, 2))
    assert faulty.unfired == 0
    assert [type(each) for each in house.hands.commands] == [Send, Thank]
    assert (await told(house.store, ONE)).count("CommandExecuted") == 2


async def test_what_was_parked_before_the_store_went_away_is_not_tried_again(
    house: House,
) -> None:
    for each in (ONE, TWO):
        await house.happen(OrderPlaced(order=each), OrderPaid(order=each))
    house.hands.errors = [*[StoreBusy("store", 5.0)] * 20, ValueError("no such address")]
    async with house.runner() as runner:
        await until(lambda: have(house, 23))
        failed = [each for _, each in await house.checkpoints.parked()]
        assert (await runner.health()).state is SubscriptionState.RUNNING
    assert [each.state for each in failed] == [ParkedState.FAILED, ParkedState.WAITING]
    assert [each.order for each in house.hands.commands] == [ONE] + [TWO] * 22


async def test_a_log_that_another_transaction_holds_is_waited_for(
    open_store: Open, dsn: str, clock: HeldClock
) -> None:
    async with open_store(registry=REGISTRY, busy_timeout=0.02) as store, asking(dsn) as other:
        house = House(store, clock)
        await house.happen(PLACED)
        holding = other.transaction()
        await holding.start()
        await store.within(other).append(StreamId("order", TWO), [OrderPlaced(order=None)])
        async with house.runner() as runner:
            await until(lambda: has_met(runner, "StoreBusy"))
            await asyncio.sleep(0.3)
            assert await house.checkpoints.parked() == ()
            await holding.rollback()
            await until(lambda: begun(house))


async def has_met(runner: ProcessRunner, error: str) -> bool:
    met = (await runner.health()).last_error
    return met is not None and met.type == error
