"""The events that a service knows: by name, by class, and by what they ask of the adapters."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import attrs

from dashtam_events.declaration import EventSpec
from dashtam_events.errors import InvalidEventClass
from dashtam_events.event import DomainEvent, spec_of

__all__ = ["EventRegistry", "RegistryStatistics"]

_E = TypeVar("_E", bound=DomainEvent)


@attrs.frozen(kw_only=True)
class RegistryStatistics:
    """How many events a registry holds, in all and by what they ask for."""

    events: int
    audited: int
    emailed: int
    streamed: int
    by_category: dict[str, int]
    by_phase: dict[str, int]


class EventRegistry:
    """Event classes by the name under which they are stored.

    A registry iterates over its classes in the order of their registration, and two are joined
    with `|`. A frozen one takes no more: join it with your own.

    Raises:
        InvalidEventClass: a class is no event, its name is taken, or the registry is frozen.
    """

    def __init__(self, events: Iterable[type[DomainEvent]] = (), *, frozen: bool = False) -> None:
        self._by_name: dict[str, type[DomainEvent]] = {}
        self._frozen = False
        for cls in events:
            self.register(cls)
        self._frozen = frozen

    def register(self, cls: type[_E]) -> type[_E]:
        """Add a class; returns it, so it serves as a decorator. The same class twice is fine."""
        name = spec_of(cls).name
        known = self._by_name.get(name)
        if known is cls:
            return cls
        if self._frozen:
            raise InvalidEventClass(
                cls.__qualname__, "this registry is frozen: join it with one of your own, `a | b`"
            )
        if known is not None:
            raise InvalidEventClass(
                cls.__qualname__,
                f"the name {name!r} is taken by {known.__module__}.{known.__qualname__}: "
                "declare another with @event(name=...)",
            )
        self._by_name[name] = cls
        return cls

    def __or__(self, other: "EventRegistry") -> "EventRegistry":
        return EventRegistry((*self, *other))

    def __iter__(self) -> Iterator[type[DomainEvent]]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, cls: object) -> bool:
        return cls in self._by_name.values()

    def __repr__(self) -> str:
        return f"EventRegistry({len(self)} events)"

    def get(self, name: str, version: int | None = None) -> type[DomainEvent] | None:
        """The class stored under a name, or None where no class (or not that version) is known.

        Every version up to the class's own is known: its upcasters lead from there to it.
        """
        cls = self._by_name.get(name)
        if cls is None or (version is not None and not 1 <= version <= spec_of(cls).version):
            return None
        return cls

    def spec_of(self, cls: type[DomainEvent]) -> EventSpec:
        """What a registered class declares.

        Raises:
            InvalidEventClass: the class is not registered here.
        """
        if cls not in self:
            raise InvalidEventClass(cls.__qualname__, "it is not registered here: register(...) it")
        return spec_of(cls)

    def select(self, wanted: Callable[[EventSpec], Any]) -> tuple[type[DomainEvent], ...]:
        """The classes whose declaration answers truly, in the order of their registration."""
        return tuple(cls for cls in self if wanted(spec_of(cls)))

    def by_category(self, category: str) -> tuple[type[DomainEvent], ...]:
        """The events of a category."""
        return self.select(lambda spec: spec.category == category)

    def by_workflow(self, workflow: str) -> tuple[type[DomainEvent], ...]:
        """The events of a workflow."""
        return self.select(lambda spec: spec.workflow == workflow)

    def audited(self) -> tuple[type[DomainEvent], ...]:
        """The events that ask for a record in the audit trail."""
        return self.select(lambda spec: spec.audit)

    def emailed(self) -> tuple[type[DomainEvent], ...]:
        """The events that ask for an e-mail."""
        return self.select(lambda spec: spec.email)

    def streamed(self) -> tuple[type[DomainEvent], ...]:
        """The events that are shown live, as server-sent events."""
        return self.select(lambda spec: spec.sse)

    def ending_sessions(self) -> tuple[type[DomainEvent], ...]:
        """The events with which sessions of their subject end."""
        return self.select(lambda spec: spec.ends_sessions)

    def statistics(self) -> RegistryStatistics:
        """Counts over the whole registry."""
        specs = [spec_of(cls) for cls in self]
        return RegistryStatistics(
            events=len(specs),
            audited=len(self.audited()),
            emailed=len(self.emailed()),
            streamed=len(self.streamed()),
            by_category=dict(Counter(spec.category or "" for spec in specs)),
            by_phase=dict(Counter(str(spec.phase or "") for spec in specs)),
        )
