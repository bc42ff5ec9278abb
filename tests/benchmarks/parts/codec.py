"""What writing one event as JSON is made of, and what reading it is."""

import msgspec

from dashtam_events.codec import EventCodec
from tests.benchmarks.parts.part import Part, least
from tests.benchmarks.workload import BENCH, FIELDS, ConnectionSynced

__all__ = ["decoding", "encoding"]

_TIMES = 1_000


def encoding() -> list[Part]:
    """The parts of `EventCodec.encode`."""
    codec = EventCodec(BENCH)
    one = ConnectionSynced(**FIELDS)  # type: ignore[arg-type]  # a dict of mixed values
    fields = ["event_id", "occurred_at", *FIELDS]
    struct = msgspec.defstruct("Struct", [(name, object) for name in fields], gc=False)
    values, dumps = [getattr(one, name) for name in fields], msgspec.json.Encoder().encode
    ones = [one] * _TIMES
    written, checked, whole = least(
        (lambda _: dumps(struct(*values)), ones),
        (codec._plan(ConnectionSynced).encode, ones),
        (codec.encode, ones),
    )
    return [
        Part("JSON is written", written),
        Part("each field is taken out and looked at: type, zone, finite, text", checked - written),
        Part("the class is looked up", whole - checked),
    ]


def decoding() -> list[Part]:
    """The parts of `EventCodec.decode`."""
    codec = EventCodec(BENCH)
    encoded = codec.encode(ConnectionSynced(**FIELDS))  # type: ignore[arg-type]  # a dict of mixed values
    strict = codec._plan(ConnectionSynced).read
    assert strict is not None
    data = [encoded.data] * _TIMES
    read, compared, whole = least(
        (msgspec.json.Decoder(ConnectionSynced).decode, data),
        (strict, data),
        (codec.decode, [encoded] * _TIMES),
    )
    return [
        Part("JSON is read into the event", read),
        Part("it is written again, and compared to the byte", compared - read),
        Part("the class is looked up, and size and version are looked at", whole - compared),
    ]
