"""What a test expects of events, and how they differ from it, without telling what is personal."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, NoReturn

import attrs

from dashtam_events.declaration import Privacy
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.privacy import redact

__all__ = ["Expectation", "differences", "expectation", "like", "unmet"]


@attrs.frozen
class Expectation:
    """An event of exactly this class, whose fields have these values."""

    event_class: type[DomainEvent]
    fields: Mapping[str, object]


@attrs.frozen
class _Value:
    """Something to be shown, in a form that `redact` takes."""

    value: object


def like(event_class: type[DomainEvent], /, **fields: object) -> Expectation:
    """An event of a class with these fields; the others may be anything.

    Secrets may be asked for too; they are compared, and never shown.

    Raises:
        InvalidEventClass: the class is no event.
        ValueError: the event has no such field.
    """
    known = {"event_id", "occurred_at", *(field.name for field in spec_of(event_class).fields)}
    if unknown := sorted(set(fields) - known):
        raise ValueError(f"{event_class.__name__} has no field {', '.join(unknown)}")
    return Expectation(event_class, fields)


def expectation(given: type[DomainEvent] | DomainEvent | Expectation) -> Expectation:
    """What a class, an event or an expectation asks for."""
    if isinstance(given, Expectation):
        return given
    if isinstance(given, type):
        return Expectation(given, {})
    spec = spec_of(type(given))
    kept = [field.name for field in spec.fields if field.privacy is not Privacy.SECRET]
    return Expectation(type(given), {name: getattr(given, name) for name in kept})


def differences(expected: Sequence[Expectation], recorded: Sequence[DomainEvent]) -> list[str]:
    """One line for each place in the order; an empty one where the event is as expected."""
    return [_difference(want, event) for want, event in zip_longest(expected, recorded)]


def unmet(sentence: str, lines: Sequence[str] = ()) -> NoReturn:
    """Fail the test with a sentence, and below it the events in their order.

    Raises:
        AssertionError: always.
    """
    numbered = [f"  {number}. {line or 'as expected'}" for number, line in enumerate(lines, 1)]
    raise AssertionError("\n".join([sentence, *numbered]))


def _difference(want: Expectation | None, event: DomainEvent | None) -> str:
    if want is None:
        return f"recorded {event!r}, expected nothing"
    if event is None:
        return f"expected {want.event_class.__name__}, recorded nothing"
    if type(event) is not want.event_class:
        return f"expected {want.event_class.__name__}, recorded {event!r}"
    wrong = [
        _field(event, name, value)
        for name, value in want.fields.items()
        if getattr(event, name) != value
    ]
    return f"{type(event).__name__}: {'; '.join(wrong)}" if wrong else ""


def _field(event: DomainEvent, name: str, value: object) -> str:
    privacy = {field.name: field.privacy for field in spec_of(type(event)).fields}
    if privacy.get(name, Privacy.PUBLIC) is not Privacy.PUBLIC:
        return f"{name} differs (it is {privacy[name].value}, so it is not shown)"
    expected, recorded = _shown(value), _shown(getattr(event, name))
    if expected == recorded:
        return f"{name} differs in what is not shown"
    return f"{name} is {recorded!r}, expected {expected!r}"


def _shown(value: Any) -> Any:
    return redact(_Value(value))["value"]
