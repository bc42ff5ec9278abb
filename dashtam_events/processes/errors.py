"""What is wrong with the class of a process manager."""

from dashtam_events.errors import DashtamEventsError

__all__ = ["InvalidProcessClass"]


class InvalidProcessClass(DashtamEventsError, TypeError):
    """The class of a process manager breaks a rule; `reason` says which, and how to mend it."""

    def __init__(self, process: str, reason: str) -> None:
        super().__init__(process, reason)
        self.process = process
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.process}: {self.reason}"
