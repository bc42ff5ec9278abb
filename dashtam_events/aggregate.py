"""Aggregates: objects that decide, whose state is nothing but the fold of their own events.

Pure: what an aggregate needs to know (the time, an id, an answer from outside) comes in as an
argument of its commands. Loading and saving is the business of a `Repository`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self, TypeVar, overload
from uuid import UUID

from dashtam_events.errors import InvalidHistory, UnappliedEvent
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import RecordedEvent, StreamId, UnknownEvent

__all__ = ["Aggregate", "applies"]

_A = TypeVar("_A")
_E = TypeVar("_E", bound=DomainEvent)
_E2 = TypeVar("_E2", bound=DomainEvent)
_E3 = TypeVar("_E3", bound=DomainEvent)
_Fold = Callable[[_A, _E], None]
_APPLIES = "__applies__"


@overload
def applies(first: type[_E], /) -> Callable[[_Fold[_A, _E]], _Fold[_A, _E]]: ...
@overload
def applies(
    first: type[_E], second: type[_E2], /
) -> Callable[[_Fold[_A, _E | _E2]], _Fold[_A, _E | _E2]]: ...
@overload
def applies(
    first: type[_E], second: type[_E2], third: type[_E3], /
) -> Callable[[_Fold[_A, _E | _E2 | _E3]], _Fold[_A, _E | _E2 | _E3]]: ...
def applies(*events: type[DomainEvent]) -> Any:
    """Mark a method of an aggregate as the fold of one event, or of up to three.

    The method changes the state to what it is after the event. It reads no clock, asks nobody,
    and does not refuse what a command should have refused: it may be told of it years later.
    """

    def mark(fold: Any) -> Any:
        setattr(fold, _APPLIES, events)
        return fold

    return mark


class Aggregate:
    """The base of aggregates: commands record events, events change the state.

        class Account(Aggregate, stream="account"):
            def __init__(self, id: UUID) -> None:
                super().__init__(id)
                self.balance = Decimal(0)

            def deposit(self, amount: Decimal) -> None:
                self.record(Deposited(amount=amount))

            @applies(Deposited)
            def _deposited(self, event: Deposited) -> None:
                self.balance += event.amount

    `stream` is the category of its streams; a subclass inherits it, and the folds. An aggregate
    must know every event of its stream, today's and those of long ago: one that it cannot apply
    raises `UnappliedEvent`, when it is recorded and when it is replayed, because a state that
    passed over an event would be wrong without anybody knowing.

    Snapshots are optional. An aggregate that wants them names an attrs class as
    `snapshot_type`, raises `snapshot_version` when the meaning of that class changes, and
    defines `take_snapshot` and `restore_snapshot`.

    Raises:
        TypeError: two methods of the class apply the same event; an instance's id is no UUID.
        ValueError: `stream` is no category (see `StreamId`).
    """

    stream_category: ClassVar[str]
    snapshot_type: ClassVar[type[Any] | None] = None
    snapshot_version: ClassVar[int] = 1
    _folds: ClassVar[Mapping[type[DomainEvent], Callable[[Any, Any], None]]] = {}

    def __init_subclass__(cls, *, stream: str | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if stream is not None:
            cls.stream_category = StreamId(stream, "any").category
        cls._folds = {**cls._folds, **_marked(cls)}

    def __init__(self, id: UUID) -> None:
        if not isinstance(id, UUID):
            raise TypeError("the id of an aggregate is a UUID: write UUID(text)")
        self.__id = id
        self.__version = 0
        self.__pending: list[DomainEvent] = []

    @classmethod
    def blank(cls, id: UUID) -> Self:
        """An aggregate to which nothing has happened yet, for its events to be applied to.

        Override it where the constructor asks for more than the id.
        """
        return cls(id)

    @classmethod
    def replay(cls, id: UUID, history: Iterable[RecordedEvent]) -> Self:
        """The aggregate as its stored events, in the order of their versions, make it.

        Raises:
            InvalidHistory: an event cannot follow those before it.
            UnappliedEvent: no method applies an event.
        """
        aggregate = cls.blank(id)
        for recorded in history:
            aggregate.advance(recorded)
        return aggregate

    @classmethod
    def replay_from(cls, id: UUID, version: int, state: Any) -> Self:
        """The aggregate as a snapshot makes it, which was taken at a version."""
        aggregate = cls.blank(id)
        aggregate.restore_snapshot(state)
        aggregate.mark_saved(version)
        return aggregate

    @property
    def id(self) -> UUID:
        """Which one of its kind it is."""
        return self.__id

    @property
    def stream(self) -> StreamId:
        """The stream that its events are stored in."""
        return StreamId(self.stream_category, self.__id)

    @property
    def version(self) -> int:
        """How many of its events are stored; pending ones do not count."""
        return self.__version

    @property
    def pending_events(self) -> tuple[DomainEvent, ...]:
        """The events recorded since, in order, that are not stored yet."""
        return tuple(self.__pending)

    def record(self, event: DomainEvent) -> None:
        """Let an event happen: apply it, and keep it until it is stored.

        Raises:
            UnappliedEvent: no method applies the event; nothing has changed.
        """
        self.__apply(event)
        self.__pending.append(event)

    def advance(self, recorded: RecordedEvent) -> None:
        """Apply the next event of the stream, as it is stored.

        Raises:
            InvalidHistory: it is not the next one, or cannot follow those before it.
            UnappliedEvent: no method applies it.
        """
        if recorded.version != self.__version + 1:
            state = f"version {self.__version}, as number {recorded.version}"
            raise InvalidHistory(str(self.stream), type(recorded.event).__name__, state)
        self.__apply(recorded.event)
        self.__version = recorded.version

    def mark_saved(self, version: int) -> None:
        """Take note that the stream has reached a version by storing the first pending events."""
        del self.__pending[: version - self.__version]
        self.__version = version

    def take_snapshot(self) -> Any:
        """The whole state, as an instance of `snapshot_type` that no later event changes."""
        raise NotImplementedError(f"{type(self).__name__} takes no snapshots")

    def restore_snapshot(self, state: Any) -> None:
        """Make a blank aggregate what it was when `take_snapshot` returned `state`."""
        raise NotImplementedError(f"{type(self).__name__} takes no snapshots")

    def same_state_as(self, other: object) -> bool:
        """Whether both have the same type, id, version, and equal attributes.

        Pending events do not count. Two aggregates with the same history are the same.
        """
        if not isinstance(other, Aggregate) or type(self) is not type(other):
            return False
        return _attributes(self) == _attributes(other)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.__id!r}, version={self.__version})"

    def __apply(self, event: DomainEvent) -> None:
        fold = self._folds.get(type(event))
        if fold is None:
            name = event.name if isinstance(event, UnknownEvent) else type(event).__name__
            raise UnappliedEvent(str(self.stream), name)
        fold(self, event)


def _marked(cls: type[Aggregate]) -> dict[type[DomainEvent], Callable[[Any, Any], None]]:
    folds: dict[type[DomainEvent], Callable[[Any, Any], None]] = {}
    for fold in vars(cls).values():
        for event in getattr(fold, _APPLIES, ()):
            if event in folds:
                raise TypeError(f"{cls.__qualname__}: two methods apply {event.__name__}")
            folds[event] = fold
    return folds


def _attributes(aggregate: Aggregate) -> dict[str, Any]:
    return {name: value for name, value in vars(aggregate).items() if name != "_Aggregate__pending"}
