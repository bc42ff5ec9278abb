"""Snapshots as bytes beside a stream: a shortcut that is taken only where it surely fits."""

import json
from typing import Any

from dashtam_events.aggregate import Aggregate
from dashtam_events.codec import make_converter

__all__ = ["SNAPSHOT", "SnapshotFormat"]

SNAPSHOT = "snapshot"
"""The name of the attachment that holds the last snapshot of a stream."""


class SnapshotFormat:
    """How the snapshots of one class of aggregates are written and read.

    Raises:
        TypeError: the class declares no snapshots.
    """

    def __init__(self, aggregate: type[Aggregate]) -> None:
        if aggregate.snapshot_type is None:
            raise TypeError(f"{aggregate.__qualname__} takes no snapshots: give it a snapshot_type")
        self._type = aggregate.snapshot_type
        self._version = aggregate.snapshot_version
        self._converter = make_converter()

    def dump(self, aggregate: Aggregate) -> bytes:
        """The aggregate's state, pending events included."""
        state = self._converter.unstructure(aggregate.take_snapshot(), self._type)
        raw = {"version": self._version, "state": state}
        return json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()

    def load(self, data: bytes) -> Any | None:
        """The state; None where it was written by another version, or in another shape."""
        try:
            raw = json.loads(data)
            if raw["version"] != self._version:
                return None
            return self._converter.structure(raw["state"], self._type)
        except Exception:  # noqa: BLE001  # whatever ails a shortcut, the events tell the truth
            return None
