"""Bugs that others have had are planted in stores and readers, and each is caught by its rule."""

from collections.abc import Callable
from functools import partial
from itertools import count

import attrs
import pytest
from sqlalchemy.engine import URL

from dashtam_events.store import InMemoryEventStore
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.testing import CONTRACT_EVENTS
from tests.no_loss import planted, rules
from tests.no_loss.readers import NEVER, READERS, Read
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
    def place() -> Load:
        store = kind(registry=CONTRACT_EVENTS)
        return Load(open=lambda: store, patience=0.3)

    assert await caught(place, rule)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (planted.LooseStore, rules.refused_is_not_read),
        (planted.CachingStore, rules.real_time_in_order),
        (planted.EarlyStore, rules.readers_miss_nothing),
        (planted.SilentStore, rules.nobody_stalls),
    ],
)
async def test_a_postgres_store_with_a_bug_is_caught(
    kind: type[PostgresEventStore], rule: Rule, postgres: URL
) -> None:
    def place() -> Load:
        open_one = partial(kind, address(postgres), schema=next(_schemas), registry=CONTRACT_EVENTS)
        return Load(
            open=partial(open_one, poll_interval=NEVER),
            stores=3,
            make_writer=partial(TransactionWriter, url=postgres),
            patience=1.0,
        )

    assert await caught(place, rule)


async def test_a_sqlite_store_with_a_bug_is_caught(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    def place() -> Load:
        path = tmp_path_factory.mktemp("deaf") / "events.db"
        open_one = partial(planted.DeafStore, path, registry=CONTRACT_EVENTS)
        return Load(open=open_one, stores=2, patience=0.3)

    assert await caught(place, rules.nobody_stalls)


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
    def place() -> Load:
        store = InMemoryEventStore(registry=CONTRACT_EVENTS)
        return Load(open=lambda: store, readers=(*READERS, read), patience=0.3)

    assert await caught(place, rule)
