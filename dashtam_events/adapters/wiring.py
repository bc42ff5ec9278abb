"""All adapters of a service subscribed in one call, and the check that none was forgotten."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs

from dashtam_events._frozen import FrozenDict
from dashtam_events.bus.protocol import EventBus, Handler
from dashtam_events.declaration import EventSpec
from dashtam_events.errors import EmailTemplatesMissing, NotWired
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.registry import EventRegistry

__all__ = ["Wiring", "asked_by", "wire"]

_ASKS: Mapping[str, Callable[[EventSpec], bool]] = FrozenDict(
    {
        "logging": lambda _spec: True,
        "audit": lambda spec: spec.audit is not None,
        "email": lambda spec: spec.email is not None,
        "sse": lambda spec: spec.sse is not None,
        "sessions": lambda spec: spec.ends_sessions,
    }
)


def asked_by(spec: EventSpec) -> tuple[str, ...]:
    """The adapters that an event asks for, by the names of `wire`'s options.

    Logging is among them for every event.
    """
    return tuple(adapter for adapter, asks in _ASKS.items() if asks(spec))


@attrs.frozen
class Wiring:
    """Who listens to what, as `wire` subscribed them.

    `registry` holds the events as they were known then, `handlers` the handler of each adapter.
    """

    bus: EventBus = attrs.field(repr=False)
    registry: EventRegistry
    handlers: Mapping[str, Handler[DomainEvent]]

    def events_of(self, adapter: str) -> tuple[type[DomainEvent], ...]:
        """The events that an adapter hears of; none where it is not wired."""
        return self.registry.select(_ASKS[adapter]) if adapter in self.handlers else ()

    def handlers_of(self, cls: type[DomainEvent]) -> Mapping[str, Handler[DomainEvent]]:
        """The handlers that hear of an event, by adapter.

        Raises:
            InvalidEventClass: the class was not in the registry.
        """
        asked = asked_by(self.registry.spec_of(cls))
        return FrozenDict({name: self.handlers[name] for name in asked if name in self.handlers})

    def missing(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the events that ask for an adapter that is not wired, by adapter."""
        asking = {
            name: self.registry.select(asks)
            for name, asks in _ASKS.items()
            if name not in self.handlers
        }
        names = {
            name: tuple(spec_of(cls).name for cls in events)
            for name, events in asking.items()
            if events
        }
        return FrozenDict(names)

    def check(self, *, without: Collection[str] = ()) -> None:
        """Find out at the start of a service whether an adapter was forgotten.

        Args:
            without: the adapters that are left out on purpose.

        Raises:
            NotWired: an event asks for another that is not wired.
            ValueError: a name in `without` is none of an adapter, or of one that is wired.
        """
        for name in without:
            if name not in _ASKS or name in self.handlers:
                raise ValueError(f"{name!r} in without=... is no adapter that was left out")
        forgotten = {name: events for name, events in self.missing().items() if name not in without}
        if forgotten:
            raise NotWired(forgotten)

    def unsubscribe(self) -> None:
        """Undo it: the handlers hear of none of these events any more. Twice is fine."""
        for adapter, handler in self.handlers.items():
            self.bus.unsubscribe(self.events_of(adapter), handler)


def wire(
    bus: EventBus,
    registry: EventRegistry,
    *,
    logging: Handler[DomainEvent] | None = None,
    audit: Handler[DomainEvent] | None = None,
    email: Handler[DomainEvent] | None = None,
    sse: Handler[DomainEvent] | None = None,
    sessions: Handler[DomainEvent] | None = None,
) -> Wiring:
    """Subscribe each handler that is given to the events of the registry that ask for it.

    Logging hears of every event, each of the others of those that declare it. They are subscribed
    in the order of the arguments. Events that are registered later are not heard of.

    Args:
        bus: where the events are published.
        registry: the service's events: `CATALOGUE`, or `CATALOGUE | own_events`.
        logging: a `LoggingEventHandler`.
        audit: an `AuditEventHandler`.
        email: an `EmailEventHandler`. One that has `templates` is asked at once for those that
            it lacks.
        sse: an `SSEEventHandler`. Leave it out where an `SSEEndpoint` reads the store.
        sessions: a `SessionEndingHandler`.

    Raises:
        EmailTemplatesMissing: an event asks for a mail that no template writes; nothing was
            subscribed.
        TypeError: a handler cannot be called with an event; those before it are subscribed.
    """
    given = (logging, audit, email, sse, sessions)
    handlers = {name: each for name, each in zip(_ASKS, given, strict=True) if each is not None}
    _check_templates(email, registry)
    # A copy: what is undone is what was subscribed, whatever is registered in between.
    wiring = Wiring(bus, EventRegistry(registry, frozen=True), FrozenDict(handlers))
    for name, handler in wiring.handlers.items():
        bus.subscribe(wiring.events_of(name), handler)
    return wiring


def _check_templates(email: Any, registry: EventRegistry) -> None:
    templates = getattr(email, "templates", None)
    missing = () if templates is None else templates.missing(registry.emailed())
    if missing:
        raise EmailTemplatesMissing(missing)
