"""Bugs that others have had are planted in stores and readers, and each is caught by its rule."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import attrs
import pytest
from sqlalchemy.engine import URL

from dashtam_events.store import InMemoryEventStore
from dashtam_events.testing import CONTRACT_EVENTS
from tests.no_loss import planted, rules
from tests.no_loss.readers import READERS, Read
from tests.no_loss.rules import Rule, check
from tests.no_loss.runs import Load, run
from tests.no_loss.test_postgres import address
from tests.no_loss.transactions import TransactionWriter
from tests.store.test_lying_stores import CarelessStore, DisorderlyStore, ForgetfulStore

TRIES = 10

_schemas = (f"planted_{number}" for number in count(1))


async def caught(place: Callable[[], Load], rule: Rule) -> bool:
    """Whether a rule is seen to be broken; chance may take more than one run to show it."""
    for seed in range(TRIES):
        history = await run(attrs.evolve(place(), seed=seed))
        if rule.__name__ in {violation.rule for violation in check(history)}:
            return True
    return False


def in_memory(kind: type[InMemoryEventStore] = InMemoryEventStore, **options: Any) -> Load:
    store = kind(registry=CONTRACT_EVENTS)
    return Load(open=lambda: store, **options)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (planted.EagerStore, rules.acknowledged_is_read),
        (planted.AmnesicStore, rules.stored_once),
        (planted.UnlockedStore, rules.versions_contiguous),
        (planted.UncountedStore, rules.versions_contiguous),
        (CarelessStore, rules.one_winner),
        (planted.TornStore, rules.appends_whole),
        (ForgetfulStore, rules.appends_whole),
        (planted.BackwardStore, rules.streams_in_order),
        (DisorderlyStore, rules.streams_agree),
    ],
)
async def test_a_store_with_a_bug_is_caught(kind: type[InMemoryEventStore], rule: Rule) -> None:
    assert await caught(partial(in_memory, kind, patience=0.3), rule)


@pytest.mark.parametrize(
    ("read", "rule"),
    [
        (planted.acknowledge_early, rules.readers_miss_nothing),
        (planted.skip_to_the_end, rules.readers_miss_nothing),
        (planted.resume_early, rules.readers_repeat_nothing),
        (planted.deal_at_once, rules.readers_agree),
    ],
)
async def test_a_reader_with_a_bug_is_caught(read: Read, rule: Rule) -> None:
    assert await caught(partial(in_memory, readers=(*READERS, read), patience=0.3), rule)


def in_postgres(address: str, kind: Any, **options: Any) -> Load:
    rest = {key: options.pop(key) for key in ("patches", "poll_interval") if key in options}
    schema = next(_schemas)
    open_one = partial(
        kind, address, schema=schema, registry=CONTRACT_EVENTS, busy_timeout=20, **rest
    )
    return Load(open=open_one, stores=3, **options)


UNLOCKED = (r"PERFORM pg_advisory_xact_lock\(-?\d+\);", "")
NUMBERED = ("last := start;", "start := 1000 * nextval('{schema}.numbers'); last := start;")
SILENT = (r"PERFORM pg_notify\('\w+', ''\);", "")


async def test_a_position_that_is_taken_before_the_commit_is_caught(postgres: URL) -> None:
    """Who reads behind the last position that they saw misses what is committed late."""
    dsn = address(postgres)
    place = partial(
        in_postgres,
        dsn,
        planted.PatchedStore,
        patches=[UNLOCKED, NUMBERED],
        make_writer=partial(TransactionWriter, dsn=dsn),
        patience=1.0,
    )
    assert await caught(place, rules.readers_miss_nothing)


async def test_positions_that_are_set_aside_for_later_are_caught(postgres: URL) -> None:
    """A sequence with a cache gives each connection numbers of its own."""
    place = partial(
        in_postgres, address(postgres), planted.PatchedStore, patches=[NUMBERED], patience=1.0
    )
    assert await caught(place, rules.real_time_in_order)


async def test_a_wake_up_that_is_lost_is_caught(postgres: URL) -> None:
    """Nobody tells of new events, and nobody looks for them."""
    place = partial(
        in_postgres,
        address(postgres),
        planted.PatchedStore,
        patches=[SILENT],
        poll_interval=600.0,
        patience=1.0,
    )
    assert await caught(place, rules.nobody_stalls)


async def test_an_append_beside_the_transaction_is_caught(postgres: URL) -> None:
    dsn = address(postgres)
    place = partial(
        in_postgres,
        dsn,
        planted.LooseStore,
        make_writer=partial(TransactionWriter, dsn=dsn),
        patience=1.0,
    )
    assert await caught(place, rules.refused_is_not_read)
