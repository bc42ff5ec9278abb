"""Whatever dies and whenever: the story of each process is the one that nothing interrupted."""

import asyncio
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, Literal
from uuid import UUID

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashtam_events.event import DomainEvent
from dashtam_events.processes import (
    CommandExecuted,
    CommandIssued,
    DeadlineCancelled,
    DeadlineReached,
    DeadlineSet,
    IssuedCommand,
    ProcessEnded,
    ProcessReacted,
    ProcessRunner,
)
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store import EventStore, InMemoryEventStore
from dashtam_events.subscriptions import (
    Checkpoint,
    InMemoryCheckpointStore,
    ParkedEvent,
    Retry,
)
from dashtam_events.testing import FaultyEventStore, HeldClock
from tests import counts
from tests.processes.orders import (
    MINUTE,
    NOON,
    REGISTRY,
    Command,
    Hands,
    OrderClosed,
    OrderPaid,
    OrderPlaced,
    PaymentPostponed,
    Watch,
    happen,
    order,
    story,
)

ORDERS = [order(number) for number in range(3)]
VERBS = ("append", "read_all", "read_stream", "last_position")


class Crash(BaseException):
    """The process is gone."""


@attrs.frozen
class Death:
    """Where a runner dies, or meets an error: at the nth call of a verb, before or after."""

    verb: str
    nth: int
    when: Literal["before", "after"]
    final: bool


@attrs.frozen
class Chapter:
    """Events that happen, time that passes, and how the runners die that deal with it."""

    events: tuple[tuple[type[DomainEvent], UUID], ...]
    minutes: int
    deaths: tuple[Death, ...]


def deaths() -> st.SearchStrategy[Death]:
    return st.builds(
        Death,
        st.sampled_from((*VERBS, "execute", "advance")),
        st.integers(1, 6),
        st.sampled_from(("before", "after")),
        st.booleans(),
    )


KINDS: tuple[type[DomainEvent], ...] = (OrderPlaced, PaymentPostponed, OrderPaid, OrderClosed)


def chapters() -> st.SearchStrategy[list[Chapter]]:
    # Few ends, or else little would happen.
    kinds = st.sampled_from((*KINDS[:3] * 3, OrderClosed))
    events = st.lists(st.tuples(kinds, st.sampled_from(ORDERS)), max_size=6).map(tuple)
    chapter = st.builds(
        Chapter, events, st.integers(0, 12), st.lists(deaths(), max_size=5).map(tuple)
    )
    return st.lists(chapter, min_size=1, max_size=5)


class Doom:
    """Strikes once, at the nth of the calls that go through it."""

    def __init__(self) -> None:
        self.death: tuple[int, str, BaseException] | None = None

    @contextmanager
    def call(self) -> Generator[None, None, None]:
        death, self.death = self.death, None
        if death is None:
            yield
            return
        nth, when, error = death
        if nth > 1:
            self.death = (nth - 1, when, error)
        elif when == "before":
            raise error
        yield
        if nth == 1:
            raise error


class MortalCheckpoints(InMemoryCheckpointStore):
    def __init__(self, doom: Doom) -> None:
        super().__init__()
        self.doom = doom

    async def advance(
        self, checkpoint: Checkpoint, to: Position | None, *, park: Iterable[ParkedEvent] = ()
    ) -> Checkpoint:
        with self.doom.call():
            return await super().advance(checkpoint, to, park=park)


class MortalHands(Hands):
    def __init__(self, doom: Doom) -> None:
        super().__init__()
        self.doom = doom

    async def __call__(self, issued: IssuedCommand[Command]) -> None:
        with self.doom.call():
            await super().__call__(issued)


class World:
    """Everything that outlives a runner; `struck` counts the deaths that were come to."""

    def __init__(self) -> None:
        self.store = InMemoryEventStore(registry=REGISTRY)
        self.dooms = {"execute": Doom(), "advance": Doom()}
        self.hands = MortalHands(self.dooms["execute"])
        self.checkpoints = MortalCheckpoints(self.dooms["advance"])
        self.clock = HeldClock(NOON)
        self.struck = 0

    async def live(self, chapter: Chapter, number: int) -> None:
        for index, (kind, about) in enumerate(chapter.events):
            event: Any = kind
            facts: dict[str, Any] = {"minutes": 3} if kind is PaymentPostponed else {}
            facts |= {"event_id": UUID(int=1 + number * 100 + index), "order": about}
            await happen(self.store, event(occurred_at=self.clock.now(), **facts))
        self.clock.advance(chapter.minutes * MINUTE)
        for death in chapter.deaths:
            await self.run_and_die(death)
        await self.run(self.store)

    async def run_and_die(self, death: Death) -> None:
        error = Crash() if death.final else ConnectionError()
        faulty, doom = FaultyEventStore(self.store), self.dooms.get(death.verb)
        if doom is not None:
            doom.death = (death.nth, death.when, error)
        else:
            verb: Any = death.verb
            faulty.fail(on=verb, nth=death.nth, when=death.when, error=error)
        with suppress(Crash, ConnectionError):
            await self.run(faulty)
        if doom is not None:
            self.struck += doom.death is None
            doom.death = None
        else:
            self.struck += faulty.unfired == 0

    async def run(self, store: EventStore) -> None:
        async def at_once(_seconds: float) -> None: ...

        runner = ProcessRunner(
            Watch,
            store,
            self.hands,
            checkpoints=self.checkpoints,
            clock=self.clock.now,
            retry=Retry(sleep=at_once),
            batch_size=3,
        )
        await runner.run_once()


async def lived(chapters: list[Chapter], *, dying: bool) -> World:
    world = World()
    for number, chapter in enumerate(chapters):
        deaths = chapter.deaths if dying else ()
        await world.live(attrs.evolve(chapter, deaths=deaths), number)
    return world


def fact(recorded: RecordedEvent) -> tuple[Any, ...]:
    """An event without what differs from one run to the next.

    Nor does it matter where in its stream a deadline came that a process reacts to: a command may
    be executed before or after. That the deadline is the right one, `check_story` says.
    """
    event: Any = recorded.event
    hidden = {"event_id", "occurred_at", "command_id", "cause"}
    if isinstance(event, ProcessReacted) and event.source.startswith("watch-"):
        hidden.add("source_version")
    facts = attrs.asdict(event, filter=lambda field, _: field.name not in hidden)
    return type(event), tuple(facts.items())


async def decided(world: World, id: UUID) -> list[tuple[Any, ...]]:
    return [
        fact(each)
        for each in await story(world.store, id)
        if not isinstance(each.event, CommandExecuted)
    ]


@counts.counted
@settings(
    max_examples=counts.of(short=40, full=500),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@example(
    [
        Chapter(((OrderPlaced, ORDERS[0]),), 0, ()),
        # The deadline is reached before, or after, the commands are noted as executed.
        Chapter(
            ((OrderPaid, ORDERS[0]), (PaymentPostponed, ORDERS[0])),
            3,
            (Death("append", 3, "before", final=False),),
        ),
    ]
)
@given(chapters())
def test_the_story_of_each_process_is_as_if_nobody_had_died(chapters: list[Chapter]) -> None:
    async def check() -> None:
        await check_same(await lived(chapters, dying=True), await lived(chapters, dying=False))

    asyncio.run(check())


async def check_same(dying: World, quiet: World) -> None:
    assert await dying.checkpoints.parked() == ()
    for each in ORDERS:
        assert await decided(dying, each) == await decided(quiet, each)
        check_story([recorded.event for recorded in await story(dying.store, each)])
    await check_commands(dying, quiet)


def check_story(written: list[DomainEvent]) -> None:
    """What must hold of the stream of a process, whoever wrote it."""
    set_for: dict[str, Any] = {}
    came: dict[UUID, str] = {}
    for index, event in enumerate(written):
        match event:
            case DeadlineSet():
                set_for[event.name] = event.due_at
                came = {cause: name for cause, name in came.items() if name != event.name}
            case DeadlineCancelled():
                set_for.pop(event.name, None)
                came = {cause: name for cause, name in came.items() if name != event.name}
            case DeadlineReached():
                assert set_for.pop(event.name) == event.due_at <= event.occurred_at
                came[event.event_id] = event.name
            case ProcessEnded():
                assert {type(each) for each in written[index + 1 :]} <= {CommandExecuted}
            case _:
                pass
        if isinstance(event, ProcessReacted) and event.source.startswith("watch-"):
            assert came.pop(event.cause)
    causes = Counter(each.cause for each in written if isinstance(each, ProcessReacted))
    assert set(causes.values()) <= {1}


async def check_commands(dying: World, quiet: World) -> None:
    """Each was executed, in the order of its process, under the id that it was issued with."""
    for about in ORDERS:
        written = [each.event for each in await story(dying.store, about)]
        issued = [each.command_id for each in written if isinstance(each, CommandIssued)]
        executed = [each.command_id for each in written if isinstance(each, CommandExecuted)]
        done = [each.id for each in dying.hands.done if each.process_id == about]
        assert list(dict.fromkeys(done)) == issued == executed
        assert len(set(issued)) == len(issued)
    assert commands(dying) == commands(quiet)


def commands(world: World) -> set[Command]:
    return set(world.hands.commands)


LIFE = [
    Chapter((*((OrderPlaced, each) for each in ORDERS), (PaymentPostponed, ORDERS[0])), 5, ()),
    Chapter(((OrderPaid, ORDERS[1]), (OrderClosed, ORDERS[1])), 6, ()),
]


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("verb", [*VERBS, "execute", "advance"])
async def test_a_life_survives_a_death_at_each_of_its_calls(
    verb: str, when: Literal["before", "after"], final: bool
) -> None:
    """Each chapter, each call of the verb in it."""
    quiet = await lived(LIFE, dying=False)
    for number in range(len(LIFE)):
        for nth in count(1):
            death = Death(verb, nth, when, final)
            life = [*LIFE]
            life[number] = attrs.evolve(LIFE[number], deaths=(death,))
            dying = await lived(life, dying=True)
            await check_same(dying, quiet)
            if not dying.struck:
                break
        assert nth > 1
