"""Process managers: they hear of events, and decide what is to be done, now or at a time.

Pure: a process reads no clock and calls nobody. A `ProcessRunner` brings it the events, wakes it
at its deadlines, and has its commands executed.
"""

import inspect
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID, uuid5

import attrs

from dashtam_events.event import DomainEvent
from dashtam_events.processes._declaring import Reaction, Reactions, commands_of
from dashtam_events.processes._fold import FoldedProcess
from dashtam_events.processes.command import CommandForms
from dashtam_events.processes.events import (
    CommandExecuted,
    CommandIssued,
    DeadlineCancelled,
    DeadlineReached,
    DeadlineSet,
    ProcessEnded,
    ProcessReacted,
)
from dashtam_events.recorded import RecordedEvent

__all__ = ["ProcessManager"]

_C = TypeVar("_C")


class ProcessManager(FoldedProcess, Generic[_C]):
    """The base of process managers; each process is one instance, with a stream of its own.

        class Reminder(ProcessManager[SendReminder], stream="reminder"):
            @reacts_to(InvoiceSent, by="invoice_id", starts=True)
            def _sent(self, event: InvoiceSent) -> None:
                self.set_deadline("payment", event.occurred_at + timedelta(days=14))

            @reacts_to(InvoicePaid, by="invoice_id")
            def _paid(self, event: InvoicePaid) -> None:
                self.end()

            @on_deadline("payment")
            def _unpaid(self, reached: DeadlineReached) -> None:
                self.send(SendReminder(invoice_id=self.id))

    In the brackets stand the classes of its commands, joined by `|`: frozen attrs classes whose
    fields hold what the fields of events may (`Never`: it has none). A reaction decides from the
    event and from the state of the process, and from nothing else. What else a process must
    remember, it keeps as an aggregate does: it records an event of its own and applies it; it
    then takes snapshots only where it declares how (`process_state` is what they must hold).

    A subclass inherits the reactions; what it declares itself takes their place.

    Raises:
        InvalidProcessClass: a reaction cannot hold, two react to the same, nothing starts it, or
            a command cannot be stored.
        ValueError: `stream` is no category (see `StreamId`).
    """

    _reactions: ClassVar[Reactions] = Reactions()
    _commands: ClassVar[CommandForms] = CommandForms()

    def __init_subclass__(cls, *, stream: str | None = None, **options: Any) -> None:
        inherited = cls._folds
        super().__init_subclass__(stream=stream, **options)
        cls._commands = commands_of(cls, ProcessManager) or cls._commands
        cls._reactions = cls._reactions.joined(cls)
        if hasattr(cls, "stream_category"):
            cls._reactions.check_start(cls)
        if cls._folds != inherited and "snapshot_type" not in vars(cls):
            # Said in the class body it would be the same; assigned, checkers take it for a new one.
            type.__setattr__(cls, "snapshot_type", None)

    def __init__(self, id: UUID) -> None:
        super().__init__(id)
        self.__deciding: _Deciding | None = None

    @classmethod
    def heard_events(cls) -> tuple[type[DomainEvent], ...]:
        """The classes of the events that it reacts to."""
        return tuple(cls._reactions.to_events)

    @classmethod
    def process_id(cls, event: DomainEvent) -> UUID | None:
        """The process that an event belongs to; None where it is for none of this class."""
        reaction = cls._reactions.to_events.get(type(event))
        return None if reaction is None else reaction.process_id(event)

    @classmethod
    def command_of(cls, event: CommandIssued) -> Any:
        """The command that an event of such a process holds.

        Raises:
            DecodingError: its class is gone, or has another shape than it had.
        """
        return cls._commands.load(event.command, event.body)

    @property
    def pending_commands(self) -> tuple[_C, ...]:
        """The commands that were sent since, in order, and are not stored yet."""
        return tuple(
            self.command_of(event)
            for event in self.pending_events
            if isinstance(event, CommandIssued)
        )

    def send(self, command: _C) -> None:
        """Have a command executed, once the decision is stored; at least once.

        Its id follows from the event that is reacted to and from its number among the commands
        of that reaction.

        Raises:
            TypeError: its class is none of the commands of this process.
            EncodingError: a field holds something that cannot be stored.
            RuntimeError: no event is being reacted to.
        """
        deciding = self.__deciding
        if deciding is None:
            raise RuntimeError("only a reaction sends commands")
        deciding.sent += 1
        command_id = uuid5(deciding.cause.event_id, f"{self.stream}/{deciding.sent}")
        name, body = self._commands.dump(command)
        self.record(CommandIssued(command_id=command_id, command=name, body=body))

    def set_deadline(self, name: str, due_at: datetime) -> None:
        """Be woken at an instant (aware); it takes the place of one of the same name.

        One that has passed comes at once. Before it comes, all is heard that was stored before.

        Raises:
            ValueError: no reaction to it is declared, `due_at` is naive, or the process ended.
        """
        if name not in self._reactions.to_deadlines:
            raise ValueError(f"there is no @on_deadline({name!r})")
        if self.has_ended:
            raise ValueError("a process that has ended has no deadlines")
        self.record(DeadlineSet(name=name, due_at=due_at))

    def cancel_deadline(self, name: str) -> None:
        """Not be woken; nothing, where no deadline of that name is set."""
        if name in self.process_state.deadlines or name in self.process_state.reached:
            self.record(DeadlineCancelled(name=name))

    def end(self) -> None:
        """React to nothing any more. Commands that were sent are still executed."""
        if not self.has_ended:
            self.record(ProcessEnded())

    def react(self, event: DomainEvent) -> None:
        """Decide what follows from an event, as if it had not been heard before.

        For tests; what comes from a store is for `receive`. Nothing follows from an event that
        it does not react to, from one that comes before it was started, and after its end.

        Raises:
            TypeError: the reaction returns something, such as a coroutine.
        """
        reaction = self.__reaction_to(event)
        if reaction is None:
            return
        self.__deciding = _Deciding(event)
        try:
            _refuse_answer(getattr(self, reaction.method)(event))
        finally:
            self.__deciding = None

    def receive(self, recorded: RecordedEvent) -> bool:
        """React to a stored event, once; False where nothing followed from it, or did already.

        The events of a stream must come in the order of their versions.
        """
        event, source = recorded.event, str(recorded.stream)
        if self.__reaction_to(event) is None or self.__has_heard(recorded):
            return False
        reacted = ProcessReacted(
            cause=event.event_id, source=source, source_version=recorded.version
        )
        self.record(reacted)
        self.react(event)
        return True

    def reach_deadlines(self, now: datetime) -> tuple[DeadlineReached, ...]:
        """Take note of the deadlines that are due; the reactions to them are yet to come."""
        due = sorted((at, name) for name, at in self.deadlines.items() if at <= now)
        reached = tuple(DeadlineReached(name=name, due_at=at, occurred_at=now) for at, name in due)
        for event in reached:
            self.record(event)
        return reached

    def note_executed(self, command_id: UUID) -> None:
        """Take note that a command was executed; nothing, where that is known."""
        if command_id in self.process_state.waiting:
            self.record(CommandExecuted(command_id=command_id))

    def __reaction_to(self, event: DomainEvent) -> Reaction | None:
        if self.has_ended:
            return None
        if isinstance(event, DeadlineReached):
            return self._reactions.to_deadlines.get(event.name)
        reaction = self._reactions.to_events.get(type(event))
        has_begun = self.version > 0 or self.pending_events
        return reaction if reaction is not None and (reaction.starts or has_begun) else None

    def __has_heard(self, recorded: RecordedEvent) -> bool:
        event = recorded.event
        if isinstance(event, DeadlineReached):
            return self.process_state.reached.get(event.name) != event.event_id
        return recorded.version <= self.process_state.heard.get(str(recorded.stream), 0)


@attrs.define
class _Deciding:
    """The event that is being reacted to, and how many commands were sent for it."""

    cause: DomainEvent
    sent: int = 0


def _refuse_answer(answer: object) -> None:
    """What a reaction returns would be lost, and a coroutine would not even have begun."""
    if inspect.iscoroutine(answer):
        answer.close()
    if answer is not None:
        raise TypeError("a reaction is a plain function that returns nothing: send a command")
