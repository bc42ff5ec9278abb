"""How the reactions of a process manager are declared, and what is refused at once."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_args, get_origin, overload
from uuid import UUID

import attrs

from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.processes.command import CommandForms
from dashtam_events.processes.errors import InvalidProcessClass
from dashtam_events.processes.events import PROCESS_EVENTS, DeadlineReached

__all__ = ["Reaction", "Reactions", "commands_of", "on_deadline", "reacts_to"]

_P = TypeVar("_P")
_E = TypeVar("_E", bound=DomainEvent)
_E2 = TypeVar("_E2", bound=DomainEvent)
_E3 = TypeVar("_E3", bound=DomainEvent)
_React = Callable[[_P, _E], None]
_By = str | Callable[[_E], UUID | None]
_MARK = "__reaction__"


@attrs.frozen
class Reaction:
    """A method that reacts: to which events of which process, or to which deadline."""

    method: str
    events: tuple[type[DomainEvent], ...] = ()
    by: str | Callable[[Any], UUID | None] = ""
    starts: bool = False
    deadline: str | None = None

    def process_id(self, event: DomainEvent) -> UUID | None:
        """The process that an event belongs to; None where it belongs to none."""
        return self.by(event) if callable(self.by) else getattr(event, self.by)


@overload
def reacts_to(
    first: type[_E], /, *, by: _By[_E], starts: bool = False
) -> Callable[[_React[_P, _E]], _React[_P, _E]]: ...
@overload
def reacts_to(
    first: type[_E], second: type[_E2], /, *, by: _By[_E | _E2], starts: bool = False
) -> Callable[[_React[_P, _E | _E2]], _React[_P, _E | _E2]]: ...
@overload
def reacts_to(
    first: type[_E],
    second: type[_E2],
    third: type[_E3],
    /,
    *,
    by: _By[_E | _E2 | _E3],
    starts: bool = False,
) -> Callable[[_React[_P, _E | _E2 | _E3]], _React[_P, _E | _E2 | _E3]]: ...
def reacts_to(
    *events: type[DomainEvent], by: str | Callable[[Any], UUID | None], starts: bool = False
) -> Any:
    """Mark a method of a process manager as the reaction to one event, or to up to three.

    It may be handed an event years later; it asks nobody, and awaits nothing.

    Args:
        events: their classes.
        by: the field that holds the id of the process, or a function from the event to it. An
            event for which it is None is passed over.
        starts: that a process begins with such an event where there is none yet. Where it is
            false, the event is passed over then.
    """
    return lambda method: _marked(method, Reaction(method.__name__, events, by, starts))


def on_deadline(
    name: str, /
) -> Callable[[_React[_P, DeadlineReached]], _React[_P, DeadlineReached]]:
    """Mark a method of a process manager as the reaction to one of its deadlines."""
    return lambda method: _marked(method, Reaction(method.__name__, deadline=name))


def _marked(method: Any, reaction: Reaction) -> Any:
    if hasattr(method, _MARK):
        raise InvalidProcessClass(
            method.__qualname__, "it reacts to something already: write another method"
        )
    setattr(method, _MARK, reaction)
    return method


@attrs.define
class Reactions:
    """The reactions of one class, by what they react to."""

    to_events: dict[type[DomainEvent], Reaction] = attrs.field(factory=dict)
    to_deadlines: dict[str, Reaction] = attrs.field(factory=dict)

    def joined(self, cls: type) -> "Reactions":
        """These, inherited, and in their place those that a class declares itself.

        Raises:
            InvalidProcessClass: a reaction cannot hold, or two are to the same.
        """
        own = Reactions()
        for method in vars(cls).values():
            reaction = getattr(method, _MARK, None)
            if reaction is not None:
                _check(cls, method, reaction)
                own.add(cls, reaction)
        return Reactions(
            {**self.to_events, **own.to_events}, {**self.to_deadlines, **own.to_deadlines}
        )

    def add(self, cls: type, reaction: Reaction) -> None:
        """Take one more. Raises InvalidProcessClass where there is one to the same."""
        for event in reaction.events:
            if event in self.to_events:
                raise _invalid(cls, f"two methods react to {event.__name__}")
            self.to_events[event] = reaction
        if reaction.deadline is not None:
            if reaction.deadline in self.to_deadlines:
                raise _invalid(cls, f"two methods react to the deadline {reaction.deadline!r}")
            self.to_deadlines[reaction.deadline] = reaction

    def check_start(self, cls: type) -> None:
        """Raises InvalidProcessClass where no event would ever start the process."""
        if not any(reaction.starts for reaction in self.to_events.values()):
            raise _invalid(cls, "no event starts it: give a reaction starts=True")


def _check(cls: type, method: Any, reaction: Reaction) -> None:
    if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
        raise _invalid(
            cls, f"{reaction.method} only decides: make it a plain function, and send a command"
        )
    for event in reaction.events:
        if not (isinstance(event, type) and issubclass(event, DomainEvent)):
            raise _invalid(cls, f"{reaction.method} reacts to {event!r}, which is no event class")
        if event in PROCESS_EVENTS:
            raise _invalid(cls, f"{reaction.method} reacts to {event.__name__}: use on_deadline")
        fields = {field.name for field in spec_of(event).fields}
        if isinstance(reaction.by, str) and reaction.by not in fields:
            raise _invalid(cls, f"{event.__name__} has no field {reaction.by!r} to find it by")


def commands_of(cls: type, root: type) -> CommandForms | None:
    """The commands that a class names in `root[...]`; None where it leaves that to others.

    Raises:
        InvalidProcessClass: one of them cannot be stored.
    """
    for base in cls.__dict__.get("__orig_bases__", ()):
        if get_origin(base) is root and not isinstance(get_args(base)[0], TypeVar):
            try:
                return CommandForms.of(get_args(base)[0])
            except TypeError as error:
                raise _invalid(cls, str(error)) from None
    return None


def _invalid(cls: type, reason: str) -> InvalidProcessClass:
    return InvalidProcessClass(cls.__qualname__, reason)
