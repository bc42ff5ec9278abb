"""What a process manager writes into its own streams; its whole state is the fold of these."""

from datetime import datetime
from uuid import UUID

from dashtam_events.declaration import LogLevel
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal
from dashtam_events.registry import EventRegistry

__all__ = [
    "PROCESS_EVENTS",
    "CommandExecuted",
    "CommandIssued",
    "DeadlineCancelled",
    "DeadlineReached",
    "DeadlineSet",
    "ProcessEnded",
    "ProcessReacted",
]


@event(category="process", log_level=LogLevel.DEBUG)
class ProcessReacted(DomainEvent):
    """A process decided what follows from an event; what that is stands behind it.

    Attributes:
        cause: the event that it reacted to.
        source: the stream of that event, written `category-id`.
        source_version: the version of the event in that stream.
    """

    cause: UUID
    source: str
    source_version: int


@event(category="process", log_level=LogLevel.DEBUG)
class CommandIssued(DomainEvent):
    """A process asked for something to be done.

    Attributes:
        command_id: known before it is stored: the same decision gives the same id.
        command: the name of the command's class.
        body: the command as JSON.
    """

    command_id: UUID
    command: str
    body: str = personal()


@event(category="process", log_level=LogLevel.DEBUG)
class CommandExecuted(DomainEvent):
    """What a process asked for was done, or was seen to need nothing.

    Attributes:
        command_id: the command.
    """

    command_id: UUID


@event(category="process", log_level=LogLevel.DEBUG)
class DeadlineSet(DomainEvent):
    """A process wants to be woken; a deadline of that name that was set before is replaced.

    Attributes:
        name: which of its deadlines.
        due_at: when.
    """

    name: str
    due_at: datetime


@event(category="process", log_level=LogLevel.DEBUG)
class DeadlineCancelled(DomainEvent):
    """A process does not want to be woken any more.

    Attributes:
        name: which of its deadlines.
    """

    name: str


@event(category="process", log_level=LogLevel.DEBUG)
class DeadlineReached(DomainEvent):
    """A deadline came; the process has not reacted to it yet.

    Attributes:
        name: which of its deadlines.
        due_at: when it was due; it was seen to be when the event occurred.
    """

    name: str
    due_at: datetime


@event(category="process", log_level=LogLevel.DEBUG)
class ProcessEnded(DomainEvent):
    """A process reacts to nothing any more."""


PROCESS_EVENTS = EventRegistry(
    [
        ProcessReacted,
        CommandIssued,
        CommandExecuted,
        DeadlineSet,
        DeadlineCancelled,
        DeadlineReached,
        ProcessEnded,
    ],
    frozen=True,
)
"""The events of every process manager: join them with your own, `registry | PROCESS_EVENTS`."""
