"""Process managers: what follows from events, now or at a time, and having it done."""

from dashtam_events.processes._declaring import on_deadline, reacts_to
from dashtam_events.processes._fold import ProcessState
from dashtam_events.processes.command import Executor, IssuedCommand
from dashtam_events.processes.errors import InvalidProcessClass
from dashtam_events.processes.events import (
    PROCESS_EVENTS,
    CommandExecuted,
    CommandIssued,
    DeadlineCancelled,
    DeadlineReached,
    DeadlineSet,
    ProcessEnded,
    ProcessReacted,
)
from dashtam_events.processes.process import ProcessManager
from dashtam_events.processes.runner import ProcessRunner

__all__ = [
    "PROCESS_EVENTS",
    "CommandExecuted",
    "CommandIssued",
    "DeadlineCancelled",
    "DeadlineReached",
    "DeadlineSet",
    "Executor",
    "InvalidProcessClass",
    "IssuedCommand",
    "ProcessEnded",
    "ProcessManager",
    "ProcessReacted",
    "ProcessRunner",
    "ProcessState",
    "on_deadline",
    "reacts_to",
]
