"""One call that checks a service's own events: what a review would ask of each, and forgets."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from hypothesis import HealthCheck, Phase, Verbosity, find, given, settings
from hypothesis.strategies import SearchStrategy

from dashtam_events._frozen import EMPTY
from dashtam_events.codec import EncodedEvent, EventCodec
from dashtam_events.errors import InvalidEventClass
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.registry import EventRegistry
from dashtam_events.testing._golden import GoldenFile
from dashtam_events.testing._marks import unmarked_fields
from dashtam_events.testing.strategies import events

__all__ = ["check_registry"]

_QUIETLY = settings(
    max_examples=20,
    database=None,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    suppress_health_check=[
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.large_base_example,
        HealthCheck.too_slow,
    ],
    verbosity=Verbosity.quiet,
)


def check_registry(
    registry: EventRegistry,
    *,
    golden: Path | None = None,
    update: bool = False,
    exempt: Collection[str] = (),
    examples: Mapping[type[DomainEvent], SearchStrategy[Any]] = EMPTY,
    codec: EventCodec | None = None,
) -> None:
    """Check every event of a registry, and tell everything that was found at once.

    Each event has a docstring. Each field whose name suggests a secret or a person's data is
    marked `secret()` or `personal()`. Generated events come back from the codec as they were.
    No stored form differs from the one that the golden file holds, none is missing from it, and
    the example that the file keeps of every form, of earlier versions too, can still be read.

    Args:
        golden: the JSON file of stored forms; it belongs under version control. None: not checked.
        update: write into it what is new: events, versions, and changes that leave what is
            stored readable (a field with a default, a mark between public and personal).
            A change that is not like that is never written.
        exempt: fields that need no mark in spite of their names, written `EventName.field`.
        examples: strategies for events that cannot be made from the types of their fields.
        codec: the codec of the service's stores; by default that of the registry.

    Raises:
        AssertionError: at least one thing is wrong; the message has one line for each.
    """
    codec, found = (codec, list[str]()) if codec else _codec_of(registry)
    check = _Check(registry, codec, examples)
    found += [*check.docstrings(), *check.marks(frozenset(exempt)), *check.round_trips()]
    if golden is not None:
        found += check.golden_file(golden, update=update)
    if found:
        lines = "\n".join(f"  - {sentence}" for sentence in found)
        raise AssertionError(f"{len(found)} found in {registry!r}:\n{lines}")


def _codec_of(registry: EventRegistry) -> tuple[EventCodec, list[str]]:
    """The codec of the events that can be stored, and a sentence for each that cannot."""
    storable, found = EventRegistry(), list[str]()
    for cls in registry:
        try:
            EventCodec(EventRegistry([cls]))
        except InvalidEventClass as error:
            found.append(f"{cls.__name__} cannot be stored: {error.reason}")
        else:
            storable.register(cls)
    return EventCodec(storable), found


@attrs.frozen
class _Check:
    registry: EventRegistry
    codec: EventCodec
    strategies: Mapping[type[DomainEvent], SearchStrategy[Any]]

    def docstrings(self) -> Iterator[str]:
        for cls in self.registry:
            if not (cls.__doc__ or "").strip():
                yield f"{cls.__name__} has no docstring: say when it is emitted"

    def marks(self, exempt: frozenset[str]) -> Iterator[str]:
        for cls in self.registry:
            for path, privacy in unmarked_fields(cls):
                field = f"{cls.__name__}.{path}"
                if field not in exempt:
                    yield (
                        f"{field} has the name of a {privacy.value} value: mark it "
                        f"{privacy.value}(), or pass exempt=[{field!r}]"
                    )

    def round_trips(self) -> Iterator[str]:
        for cls in self.codec.registry:
            trouble = self._trouble(cls)
            if trouble is not None:
                yield f"{cls.__name__} does not come back from the codec as it was: {trouble}"

    def golden_file(self, path: Path, *, update: bool) -> Iterator[str]:
        try:
            golden = GoldenFile.read(path)
        except ValueError as error:
            yield f"the golden file {path} is damaged: {error}"
            return
        yield from golden.compare(self.registry, update=update)
        for what, encoded in golden.examples():
            if self.registry.get(encoded.name, encoded.version) is not None:
                yield from self._unreadable(what, encoded)
        if update:
            golden.add_examples(self._example)
            golden.write()

    def _unreadable(self, what: str, encoded: EncodedEvent) -> Iterator[str]:
        try:
            self.codec.decode(encoded)
        except Exception as error:  # noqa: BLE001  # whatever an upcaster raises is the finding
            yield f"{what}, as it was stored, can no longer be read: {_sentence(error)}"

    def _example(self, name: str) -> EncodedEvent | None:
        cls = self.codec.registry.get(name)
        if cls is None or self._trouble(cls) is not None:
            return None
        return self.codec.encode(find(self._strategy(cls), lambda _: True, settings=_QUIETLY))

    def _strategy(self, cls: type[DomainEvent]) -> SearchStrategy[Any]:
        return self.strategies[cls] if cls in self.strategies else events(cls)

    def _trouble(self, cls: type[DomainEvent]) -> str | None:
        """Why events of a class do not survive the codec, where they do not."""

        def comes_back_as_it_was(event: DomainEvent) -> None:
            back = self.codec.decode(self.codec.encode(event))
            if back != event:
                raise ValueError(_changed(event, back))

        try:
            _QUIETLY(given(self._strategy(cls))(comes_back_as_it_was))()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the finding
            return _sentence(error)
        return None


def _changed(event: DomainEvent, back: DomainEvent) -> str:
    names = ("event_id", "occurred_at", *(field.name for field in spec_of(type(event)).fields))
    wrong = [name for name in names if getattr(back, name, None) != getattr(event, name)]
    return f"{', '.join(wrong) or 'its class'} changed on the way"


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
