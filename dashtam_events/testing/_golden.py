"""The golden file: every stored form that a registry ever had, so that none changes unnoticed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NotRequired, TypedDict

import attrs

from dashtam_events.codec import EncodedEvent
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.registry import EventRegistry
from dashtam_events.testing._forms import Fields, changes, fields_of, is_compatible

__all__ = ["GoldenFile"]

_UPDATE = "check_registry(..., update=True), or pytest --update-event-forms, adds it"
_NEVER_STORED = "if none was ever stored, delete its entry from the golden file and update"


class _Form(TypedDict):
    """One version of an event: its fields, and one event that was stored in that form."""

    fields: Fields
    example: NotRequired[str]


@attrs.define
class GoldenFile:
    """The stored forms of a registry's events by name and version, as a file keeps them.

    What has been stored may be read for ever, so a form is only ever added: `update` writes new
    events, new versions and compatible changes, and nothing that would break a stored event.
    """

    path: Path
    forms: dict[str, dict[str, _Form]]

    @classmethod
    def read(cls, path: Path) -> "GoldenFile":
        """The file as it stands; empty where there is none yet.

        Raises:
            ValueError: it does not hold JSON.
        """
        text = path.read_text(encoding="utf-8") if path.exists() else "{}"
        return cls(path, json.loads(text))

    def write(self) -> None:
        """Replace the file, sorted by name, so that a change of it reads well in a review."""
        text = json.dumps(dict(sorted(self.forms.items())), indent=2, ensure_ascii=False)
        self.path.write_text(f"{text}\n", encoding="utf-8")

    def compare(self, registry: EventRegistry, *, update: bool) -> Iterator[str]:
        """What differs from the registry; what may be written is taken in where `update` is."""
        for name in sorted(set(self.forms) - {spec_of(cls).name for cls in registry}):
            yield (
                f"{name} is gone: keep its class, so that what is stored under this name "
                f"can be read; {_NEVER_STORED}"
            )
        for cls in registry:
            yield from self._compare(cls, update=update)

    def examples(self) -> Iterator[tuple[str, EncodedEvent]]:
        """One stored event of each version, with what to call it."""
        for name, versions in self.forms.items():
            for version, form in versions.items():
                if "example" in form:
                    data = form["example"].encode()
                    yield (
                        f"{name} version {version}",
                        EncodedEvent(name=name, version=int(version), data=data, subject=None),
                    )

    def add_examples(self, make: Callable[[str], EncodedEvent | None]) -> None:
        """Keep an example of each form that has none, made for the event of that name."""
        for name, versions in self.forms.items():
            if "example" in versions[max(versions, key=int)]:
                continue
            encoded = make(name)
            if encoded is not None and str(encoded.version) in versions:
                versions[str(encoded.version)]["example"] = encoded.data.decode()

    def _compare(self, cls: type[DomainEvent], *, update: bool) -> Iterator[str]:
        spec, form = spec_of(cls), fields_of(cls)
        versions = self.forms.get(spec.name, {})
        known, latest = versions.get(str(spec.version)), max(map(int, versions), default=0)
        if spec.version < latest:
            yield f"{spec.name} went back from version {latest} to {spec.version}: {_NEVER_STORED}"
        elif known is None:
            if not update:
                yield f"{spec.name} version {spec.version} is not in the golden file: {_UPDATE}"
            self._take(spec.name, spec.version, form, update=update)
        elif known["fields"] != form:
            found = changes(known["fields"], form)
            compatible = is_compatible(known["fields"], form)
            if not (compatible and update):
                yield _changed(spec.name, spec.version, found, compatible=compatible)
            self._take(spec.name, spec.version, form, update=update and compatible)

    def _take(self, name: str, version: int, form: Fields, *, update: bool) -> None:
        if update:
            versions = self.forms.setdefault(name, {})
            # The example stays: what was stored before a compatible change must remain readable.
            versions.setdefault(str(version), _Form(fields=form))["fields"] = form


def _changed(name: str, version: int, found: list[str], *, compatible: bool) -> str:
    sentence = f"{name} version {version} has another form than the one that was stored: "
    sentence += "; ".join(found)
    if compatible:
        return f"{sentence}. What is stored still reads as it did: {_UPDATE}"
    return (
        f"{sentence}. Declare version={version + 1} with an upcaster from {version}, "
        f"upcasters={{{version}: ...}}; {_NEVER_STORED}"
    )
