"""The end of a user's sessions, where an event says that they end with it."""

from typing import Any, Protocol

from dashtam_events.adapters._names import snake_name
from dashtam_events.bus.protocol import EventContext
from dashtam_events.errors import InvalidEventClass
from dashtam_events.event import DomainEvent, spec_of

__all__ = ["SessionEnder", "SessionEndingHandler"]


class SessionEnder(Protocol):
    """Where a service ends sessions: its session table, its cache, its tokens."""

    async def end_sessions(self, subject: Any, *, session_id: Any | None, reason: str) -> None:
        """End one session of a subject, or all of them where `session_id` is None.

        It may be asked for the same again: ending what has ended is no error.

        Args:
            subject: whose sessions, as the event has it; in the catalogue the user's UUID.
            session_id: the one that ends; None for all.
            reason: the event's name in snake case, such as `user_logout_succeeded`.
        """
        ...


class SessionEndingHandler:
    """Ends sessions for events declared with `ends_sessions=True`; passes over all others.

    An event that names a session in a field `session_id` (a logout) ends that one; an
    event that has no such field, or None in it (a changed password), ends all of its subject.
    Returns when the ender is done. What the ender raises passes through, so that nobody takes
    a session for ended that is not.
    """

    def __init__(self, ender: SessionEnder) -> None:
        self._ender = ender

    async def __call__(self, event: DomainEvent, context: EventContext) -> None:  # noqa: ARG002  # what every handler takes
        """End what the event says.

        Raises:
            InvalidEventClass: the event does not say whose sessions end.
        """
        cls = type(event)
        spec = spec_of(cls)
        if not spec.ends_sessions:
            return
        subject = None if spec.subject is None else getattr(event, spec.subject)
        if subject is None:
            raise InvalidEventClass(
                cls.__qualname__, "it ends sessions, so it must name whose: subject=... not None"
            )
        session_id = getattr(event, "session_id", None)
        await self._ender.end_sessions(subject, session_id=session_id, reason=snake_name(spec.name))
