"""The codec: an event to its stored form and back, and nothing else than its own errors."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

import attrs

from dashtam_events.codec._classes import stored_fields
from dashtam_events.codec._compile import Forms
from dashtam_events.codec._converter import is_strict
from dashtam_events.codec._encoded import EncodedEvent, functions
from dashtam_events.codec._forms import Form, Mismatch
from dashtam_events.codec._json import dumps, dumps_sorted, parse
from dashtam_events.codec._leaves import LEAVES
from dashtam_events.codec._limits import Limits
from dashtam_events.codec._privacy import unseal
from dashtam_events.declaration import EventSpec, Privacy
from dashtam_events.errors import DecodingError, EncodingError, FutureSchemaVersion, LimitExceeded
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import EventMetadata, UnknownEvent
from dashtam_events.registry import EventRegistry

if TYPE_CHECKING:
    import cattrs

__all__ = ["EventCodec"]

_T = TypeVar("_T")
_LIMITS = Limits()
_METADATA = "EventMetadata"
_MOST_UNKNOWN = 1_000
_EXACT = frozenset({str, int, bool, type(None)})
"""The types whose values JSON gives back as they were."""


@attrs.frozen(kw_only=True)
class _Plan:
    """All that the codec does for one event class, worked out once.

    Data to be read of up to `short` bytes is within the limits. `read` is the fast reading, None
    where the class has none.
    """

    spec: EventSpec
    name: str
    version: int
    form: Form
    short: int
    encode: Callable[[Any], EncodedEvent]
    read: Callable[[bytes], DomainEvent | None] | None


class EventCodec:
    """Events of a registry to bytes and back: lossless, strict, bounded.

    What is written is one JSON object with `event_id`, `occurred_at` and every field but the
    secrets; what is read has gone through the validators, and nothing in it was coerced. A field
    that the class does not have is left out and counted in `unknown_fields` by event and name,
    or refused with `strict`. One codec may be used by several threads.

    Args:
        registry: the events that it knows.
        limits: what it refuses to read or write for its size.
        converter: one made by `make_converter`, with hooks for types of your own.
        strict: that a field which the class does not have is refused.

    Raises:
        InvalidEventClass: a field of a registered class has a type without a hook. (A class that
            is registered later is looked at when its first event comes.)
        TypeError: the converter is another one, which may coerce.
    """

    def __init__(
        self,
        registry: EventRegistry,
        *,
        limits: Limits = _LIMITS,
        converter: "cattrs.Converter | None" = None,
        strict: bool = False,
    ) -> None:
        if converter is not None and not is_strict(converter):
            raise TypeError("a converter of cattrs may coerce: pass one from make_converter()")
        self.registry = registry
        self.limits = limits
        self.unknown_fields: Counter[tuple[str, str]] = Counter()
        self._strict = strict
        self._forms = Forms(converter, self._meet_unknown)
        self._plans: dict[type[DomainEvent], _Plan] = {}
        self._named: dict[str, _Plan] = {}
        self._compiling = RLock()
        self._metadata = self._forms.of_class(EventMetadata, _METADATA)
        for cls in registry:
            stored_fields(cls, self._forms.of)

    def encode(self, event: DomainEvent) -> EncodedEvent:
        """The stored form of an event. An `UnknownEvent` gives the bytes that it was read from.

        Raises:
            InvalidEventClass: the class is not registered, or a field has a type without a hook.
            EncodingError: a field holds something that could not be read back as it is.
            LimitExceeded: the event is over one of the limits.
        """
        plan = self._plans.get(type(event))
        if plan is None:
            if isinstance(event, UnknownEvent):
                return self._as_it_was(event)
            plan = self._plan(type(event))
        try:
            return plan.encode(event)
        except Mismatch as found:
            mismatch = found
        except RecursionError:
            raise LimitExceeded(plan.name, "depth", self.limits.max_depth) from None
        raise EncodingError(plan.name, mismatch.path, mismatch.expected)

    def decode(self, encoded: EncodedEvent) -> DomainEvent:
        """The event that was stored; an `UnknownEvent` where no class is registered for it.

        Data of an earlier schema version goes through the upcasters of the class first.

        Raises:
            DecodingError: the data is not what the class says.
            FutureSchemaVersion: a newer release wrote it.
            LimitExceeded: the data is over one of the limits; it was not parsed.
            InvalidEventClass: a field of the class has a type without a hook.
        """
        name, version, data = encoded.name, encoded.version, encoded.data
        plan = self._named.get(name)
        if plan is None:
            cls = self.registry.get(name)
            if cls is None:
                return self._unknown_event(encoded)
            plan = self._plan(cls)
        if len(data) > plan.short:
            self.limits.check(name, data)
        if version == plan.version and plan.read is not None:
            event = plan.read(data)
            if event is not None:
                return event
        self.limits.check(name, data)
        if version > plan.version:
            raise FutureSchemaVersion(name, version, plan.version)
        return self._exactly(name, lambda: self._read(plan, version, data))

    def encode_metadata(self, metadata: EventMetadata) -> bytes | None:
        """Metadata as JSON, the same bytes for the same metadata; None where it is empty.

        Raises:
            EncodingError: a field holds something that could not be read back as it is.
            LimitExceeded: the metadata is over one of the limits.
        """
        try:
            raw = self._metadata.encode(metadata)
        except Mismatch as found:
            mismatch = found
        else:
            given = {key: value for key, value in raw.items() if value not in (None, {})}
            data = dumps_sorted(given)
            self.limits.check(_METADATA, data)
            return data if given else None
        raise EncodingError(_METADATA, mismatch.path, mismatch.expected)

    def decode_metadata(self, data: bytes | None) -> EventMetadata:
        """The metadata that was stored; empty for None.

        Raises:
            DecodingError: the data is no metadata.
            LimitExceeded: the data is over one of the limits; it was not parsed.
        """
        if data is None:
            return EventMetadata()
        self.limits.check(_METADATA, data)
        return cast(
            EventMetadata, self._exactly(_METADATA, lambda: self._metadata.decode(parse(data)))
        )

    def _plan(self, cls: type[DomainEvent]) -> _Plan:
        spec = self.registry.spec_of(cls)
        with self._compiling:
            form = self._forms.of_class(cls, spec.name)
            fields = stored_fields(cls, self._forms.of)
            flat, limits = self._is_flat(spec), self.limits
            sure = limits.max_bytes if flat else -1
            made = functions(cls, spec, fields, form, limits, sure=sure)
            plan = _Plan(
                spec=spec,
                name=spec.name,
                version=spec.version,
                form=form,
                # Shorter data has too few items for a limit; its depth shows when it is compared.
                short=min(limits.max_bytes, limits.max_items) if flat else -1,
                encode=made.encode,
                read=made.read,
            )
            self._plans[cls] = self._named[spec.name] = plan
        return plan

    def _is_flat(self, spec: EventSpec) -> bool:
        """Whether nothing but its size can take an event of the class over the limits."""
        kept = [field for field in spec.fields if field.privacy is not Privacy.SECRET]
        fits = self.limits.max_depth > 0 and len(kept) + 2 <= self.limits.max_items
        return fits and all(self._forms.of(field.type).flat for field in kept)

    def _read(self, plan: _Plan, version: int, data: bytes) -> DomainEvent:
        raw = unseal(plan.spec, parse(data))
        if version == plan.version:
            return cast(DomainEvent, plan.form.decode(raw))
        raised = _upcast(plan.spec, version, raw)
        event = _read_soon(plan, raised)
        return cast(DomainEvent, plan.form.decode(raised)) if event is None else event

    def _as_it_was(self, event: UnknownEvent) -> EncodedEvent:
        self.limits.check(event.name, event.data)
        return EncodedEvent(
            name=event.name, version=event.schema_version, data=event.data, subject=event.subject
        )

    def _unknown_event(self, encoded: EncodedEvent) -> DomainEvent:
        self.limits.check(encoded.name, encoded.data)

        def read() -> UnknownEvent:
            raw = parse(encoded.data)
            return UnknownEvent(
                event_id=_identity(raw, "event_id", UUID),
                occurred_at=_identity(raw, "occurred_at", datetime),
                name=encoded.name,
                schema_version=encoded.version,
                data=encoded.data,
                subject=encoded.subject,
            )

        return self._exactly(encoded.name, read)

    def _exactly(self, name: str, read: Callable[[], _T]) -> _T:
        """What `read` gives; raised outside of the handler, so that no value hangs on to it."""
        try:
            return read()
        except Mismatch as found:
            mismatch = found
        except RecursionError:
            mismatch = Mismatch("a document that is nested less deeply")
        raise DecodingError(name, mismatch.path, mismatch.expected)

    def _meet_unknown(self, owner: str, key: str) -> None:
        shown = key if key.isidentifier() and len(key) <= 64 else "?"
        if self._strict:
            raise Mismatch("no field of this name").within(f".{shown}")
        if len(self.unknown_fields) >= _MOST_UNKNOWN and (owner, shown) not in self.unknown_fields:
            shown = "?"
        self.unknown_fields[owner, shown] += 1


def _identity(raw: dict[str, Any], field: str, kind: type) -> Any:
    try:
        return LEAVES[kind].decode(raw.get(field))
    except Mismatch as mismatch:
        raise mismatch.within(f".{field}")  # noqa: B904  # the same object, one step longer


def _read_soon(plan: _Plan, raised: dict[str, Any]) -> DomainEvent | None:
    """The event by the fast reading, where what an upcaster gave is what JSON would give again."""
    kinds = {type(value) for value in raised.values()}
    if plan.read is None or not kinds <= _EXACT:
        return None
    try:
        return plan.read(dumps(raised))
    except (UnicodeEncodeError, OverflowError):
        return None


def _upcast(spec: EventSpec, version: int, raw: dict[str, Any]) -> dict[str, Any]:
    if version < 1:
        raise Mismatch("a schema version from 1")
    for step in range(version, spec.version):
        try:
            raised = spec.upcasters[step](raw)
        except Exception:  # noqa: BLE001  # an upcaster is the user's, and may raise anything
            raise Mismatch(f"what the upcaster from version {step} takes") from None
        if type(raised) is not dict or not all(type(key) is str for key in raised):
            raise Mismatch(f"a dict with keys of text from the upcaster from version {step}")
        raw = raised
    return raw
