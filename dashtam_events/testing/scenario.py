"""Given these events, when this command, then those: the test of an aggregate in one sentence."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload
from uuid import UUID

import attrs
from returns.result import Failure

from dashtam_events._ids import new_id
from dashtam_events.aggregate import Aggregate
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.testing._expectation import Expectation, differences, expectation, unmet

__all__ = ["Outcome", "Scenario", "given"]

_A = TypeVar("_A", bound=Aggregate)
_X = TypeVar("_X", bound=BaseException)


@attrs.frozen
class Outcome(Generic[_A]):
    """What a command came to, and the questions that a test asks of it.

    `aggregate` is as the command left it, `events` what the command recorded, in order,
    `returned` what it returned, `raised` what it raised.
    Where no question expects the exception, the first question raises it again.
    """

    aggregate: _A
    events: tuple[DomainEvent, ...]
    returned: object = None
    raised: Exception | None = None

    def then(self, *expected: type[DomainEvent] | DomainEvent | Expectation) -> _A:
        """These events were recorded, in this order, and no others; returns the aggregate.

        A class asks for an event of exactly that class. An event asks for all of its fields as
        well, less `event_id`, `occurred_at` and its secrets. `like(...)` asks for some fields.

        Raises:
            AssertionError: other events were recorded, or the command was refused.
        """
        self._done()
        found = differences([expectation(one) for one in expected], self.events)
        if any(found):
            unmet("the events differ", found)
        return self.aggregate

    def then_nothing(self) -> _A:
        """The command was accepted and recorded nothing; returns the aggregate.

        Raises:
            AssertionError: something was recorded, or the command was refused.
        """
        return self.then()

    def then_refused(self, error: object) -> _A:
        """The command returned a `Failure` of this error and recorded nothing.

        `error` is the error itself, or the class that it must be an instance of.

        Raises:
            AssertionError: the command was accepted, refused for another reason, or recorded
                something nevertheless.
        """
        self._raise_again()
        wanted = error.__qualname__ if isinstance(error, type) else repr(error)
        if not isinstance(self.returned, Failure):
            unmet(f"expected the refusal {wanted}, but it was accepted", self._unexpected())
        reason: object = self.returned.failure()
        if reason != error and not (isinstance(error, type) and isinstance(reason, error)):
            unmet(f"expected the refusal {wanted}, but the refusal is {reason!r}")
        if self.events:
            unmet("the command was refused, but recorded", self._unexpected())
        return self.aggregate

    def then_raises(self, kind: type[_X]) -> _X:
        """The command raised an exception of this kind and recorded nothing; returns it.

        Any other exception is raised again.

        Raises:
            AssertionError: nothing was raised, or something was recorded before.
        """
        if not isinstance(self.raised, kind):
            self._raise_again()
            unmet(f"expected {kind.__qualname__}, but nothing was raised", self._unexpected())
        if self.events:
            unmet("the command raised, but recorded before", self._unexpected())
        return self.raised

    def _done(self) -> None:
        self._raise_again()
        if isinstance(self.returned, Failure):
            reason: object = self.returned.failure()
            unmet(f"the command was refused: {reason!r}")

    def _unexpected(self) -> list[str]:
        return differences([], self.events)

    def _raise_again(self) -> None:
        if self.raised is not None:
            raise self.raised


@attrs.frozen
class Scenario(Generic[_A]):
    """An aggregate with a history, waiting for a command."""

    aggregate: _A

    def when(self, command: Callable[[_A], object]) -> Outcome[_A]:
        """Give the aggregate a command; what comes of it is asked of the outcome.

        A command that returns another aggregate of the class, such as one that it has just
        started, is asked about that one.
        """
        before = len(self.aggregate.pending_events)
        returned, raised = None, None
        try:
            returned = command(self.aggregate)
        except Exception as error:  # noqa: BLE001  # raised again by the first question
            raised = error
        if isinstance(returned, type(self.aggregate)) and returned is not self.aggregate:
            return Outcome(returned, returned.pending_events, returned)
        recorded = self.aggregate.pending_events[before:]
        return Outcome(self.aggregate, recorded, returned, raised)


@overload
def given(
    aggregate: type[_A], /, *history: DomainEvent, id: UUID | None = None
) -> Scenario[_A]: ...
@overload
def given(aggregate: _A, /) -> Scenario[_A]: ...
def given(
    aggregate: type[_A] | _A, /, *history: DomainEvent, id: UUID | None = None
) -> Scenario[_A]:
    """An aggregate of a class to which these events have happened, in this order.

    `id` is the aggregate's; a new one where the test does not care. An aggregate that was made
    another way is taken as it is; what it recorded before the command is not asked about.

    Raises:
        InvalidHistory: the events cannot have happened in that order.
        UnappliedEvent: the aggregate does not know an event.
    """
    if not isinstance(aggregate, type):
        return Scenario(aggregate)
    known = id or new_id()
    return Scenario(aggregate.replay(known, _stored(aggregate.blank(known).stream, history)))


def _stored(stream: StreamId, history: Sequence[DomainEvent]) -> list[RecordedEvent]:
    return [
        RecordedEvent(
            position=Position(version),
            stream=stream,
            version=version,
            recorded_at=event.occurred_at,
            event=event,
        )
        for version, event in enumerate(history, start=1)
    ]
