"""How its events make a process: what it has heard, and what is yet to come of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import attrs

from dashtam_events._frozen import EMPTY
from dashtam_events.aggregate import Aggregate, applies
from dashtam_events.processes.events import (
    CommandExecuted,
    CommandIssued,
    DeadlineCancelled,
    DeadlineReached,
    DeadlineSet,
    ProcessEnded,
    ProcessReacted,
)

__all__ = ["FoldedProcess", "ProcessState"]

_V = TypeVar("_V")


@attrs.frozen(kw_only=True)
class ProcessState:
    """What a process remembers, and the form of its snapshot.

    `heard` is the version up to which it reacted to each stream, by its name. `deadlines` are
    those to come, `reached` the events of those that came and were not reacted to, both by their
    names. `waiting` are the ids of the commands that were not executed.
    """

    heard: Mapping[str, int] = EMPTY
    deadlines: Mapping[str, datetime] = EMPTY
    reached: Mapping[str, UUID] = EMPTY
    waiting: frozenset[UUID] = frozenset()
    ended: bool = False


class FoldedProcess(Aggregate):
    """A process that can be rebuilt, from its events or from a snapshot."""

    snapshot_type: ClassVar[type[Any] | None] = ProcessState

    def __init__(self, id: UUID) -> None:
        super().__init__(id)
        self.__state = ProcessState()

    @property
    def process_state(self) -> ProcessState:
        """What every process remembers; what a class adds to it is not in here."""
        return self.__state

    @property
    def deadlines(self) -> Mapping[str, datetime]:
        """When each deadline is due that is set, by its name."""
        return self.__state.deadlines

    @property
    def has_ended(self) -> bool:
        """Whether it reacts to nothing any more."""
        return self.__state.ended

    def take_snapshot(self) -> Any:
        """The state, as `process_state` is."""
        return self.__state

    def restore_snapshot(self, state: Any) -> None:
        """Take over a `ProcessState`."""
        self.__state = state

    def __evolve(self, **changes: Any) -> None:
        self.__state = attrs.evolve(self.__state, **changes)

    @applies(ProcessReacted)
    def __reacted(self, event: ProcessReacted) -> None:
        state = self.__state
        reached = {name: cause for name, cause in state.reached.items() if cause != event.cause}
        self.__evolve(reached=reached, heard={**state.heard, event.source: event.source_version})

    @applies(CommandIssued)
    def __issued(self, event: CommandIssued) -> None:
        self.__evolve(waiting=self.__state.waiting | {event.command_id})

    @applies(CommandExecuted)
    def __executed(self, event: CommandExecuted) -> None:
        self.__evolve(waiting=self.__state.waiting - {event.command_id})

    @applies(DeadlineSet)
    def __deadline_set(self, event: DeadlineSet) -> None:
        state = self.__state
        self.__evolve(
            deadlines={**state.deadlines, event.name: event.due_at},
            reached=_without(state.reached, event.name),
        )

    @applies(DeadlineCancelled)
    def __deadline_cancelled(self, event: DeadlineCancelled) -> None:
        state = self.__state
        self.__evolve(
            deadlines=_without(state.deadlines, event.name),
            reached=_without(state.reached, event.name),
        )

    @applies(DeadlineReached)
    def __deadline_reached(self, event: DeadlineReached) -> None:
        state = self.__state
        self.__evolve(
            deadlines=_without(state.deadlines, event.name),
            reached={**state.reached, event.name: event.event_id},
        )

    @applies(ProcessEnded)
    def __ended(self, _event: ProcessEnded) -> None:
        self.__evolve(ended=True, deadlines={}, reached={})


def _without(mapping: Mapping[str, _V], name: str) -> dict[str, _V]:
    return {key: value for key, value in mapping.items() if key != name}
