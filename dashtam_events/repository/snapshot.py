"""Snapshots as bytes beside a stream: a shortcut that is taken only where it surely fits."""

from typing import Any, Protocol

from dashtam_events.aggregate import Aggregate
from dashtam_events.codec import make_converter
from dashtam_events.codec._json import dumps_sorted, parse

__all__ = ["SNAPSHOT", "SnapshotConverter", "SnapshotFormat"]

SNAPSHOT = "snapshot"
"""The name of the attachment that holds the last snapshot of a stream."""


class SnapshotConverter(Protocol):
    """What turns a state into JSON and strictly back; `make_converter` makes one."""

    def unstructure(self, obj: Any, unstructure_as: Any = None) -> Any:
        """A value as JSON has it."""
        ...

    def structure(self, obj: Any, cl: Any) -> Any:
        """The value of that type, or an exception."""
        ...


class SnapshotFormat:
    """How the snapshots of one class of aggregates are written and read.

    Raises:
        TypeError: the class declares no snapshots.
    """

    def __init__(
        self, aggregate: type[Aggregate], converter: SnapshotConverter | None = None
    ) -> None:
        if aggregate.snapshot_type is None:
            raise TypeError(f"{aggregate.__qualname__} takes no snapshots: give it a snapshot_type")
        self._type = aggregate.snapshot_type
        self._version = aggregate.snapshot_version
        self._converter: SnapshotConverter = converter or make_converter()

    def dump(self, aggregate: Aggregate) -> bytes:
        """The aggregate's state, pending events included."""
        state = self._converter.unstructure(aggregate.take_snapshot(), self._type)
        return dumps_sorted({"version": self._version, "state": state})

    def load(self, data: bytes) -> Any | None:
        """The state; None where it was written by another version, or in another shape."""
        try:
            raw = parse(data)
            if raw["version"] != self._version:
                return None
            return self._converter.structure(raw["state"], self._type)
        except Exception:  # noqa: BLE001 - whatever ails a shortcut, the events tell the truth
            return None
