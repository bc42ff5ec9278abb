"""What making an event is made of, and what making a frame for the wire of one is."""

from uuid import uuid4

import attrs

from dashtam_events._clock import now
from dashtam_events._ids import new_id
from dashtam_events.sse import wire
from tests.benchmarks.parts.part import ROUNDS, Part, completed, least
from tests.benchmarks.sse_rows import TYPE, encoded
from tests.benchmarks.sse_servers import FIELDS as TOLD
from tests.benchmarks.workload import FIELDS, ConnectionSynced

__all__ = ["constructing", "framing"]

_TIMES = 1_000


def constructing() -> list[Part]:
    """The parts of an event's `__init__`."""
    names = ["event_id", "occurred_at", *FIELDS]
    bare = attrs.make_class("Bare", names, frozen=True, slots=True, kw_only=True)
    given = {"event_id": new_id(), "occurred_at": now()} | FIELDS
    identified, timed, kept, whole = least(
        (lambda _: new_id(), range(_TIMES)),
        (lambda _: now(), range(_TIMES)),
        (lambda _: bare(**given), range(_TIMES)),
        (lambda _: ConnectionSynced(**FIELDS), range(_TIMES)),  # type: ignore[arg-type]  # a dict of mixed values
    )
    parts = [
        Part("the fields are set, which attrs does for a frozen class one by one", kept),
        Part("an id is made", identified),
        Part("the clock is read", timed),
    ]
    return completed(parts, "the two times are looked at: a zone, and its offset", whole)


def framing() -> list[Part]:
    """The parts of `ServerSentEvent.encode`."""
    fields, event_id = dict(TOLD), uuid4()
    # An event keeps its frame, so each is encoded once.
    whole = min(encoded(_TIMES) for _ in range(ROUNDS))
    json, data, named = least(
        (lambda _: wire._encoder.encode(fields), range(_TIMES)),
        (lambda _: wire.encode_data(fields), range(_TIMES)),
        (lambda _: (wire._id(event_id), wire._between(TYPE)), range(_TIMES)),
    )
    parts = [
        Part("JSON is written", json),
        Part("each key and value is looked at: type, size, finite, text", data - json),
        Part("the id is written, and the type looked up", named),
    ]
    return completed(parts, "the data are copied, the frame is joined and kept", whole)
