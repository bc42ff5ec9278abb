"""A CloudEvent that came in is an event of ours, or is refused without showing what it holds."""

import json
import pickle
import traceback
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent as TheirCloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_events.cloudevents import CloudEvent, CloudEventDecoder
from dashtam_events.codec import EventCodec, Limits
from dashtam_events.errors import (
    CodecError,
    DecodingError,
    FutureSchemaVersion,
    LimitExceeded,
)
from dashtam_events.recorded import EventMetadata, StreamId, UnknownEvent
from dashtam_events.registry import EventRegistry
from tests.cloudevents.parcels import (
    CANARY,
    CAUSE,
    CODEC,
    DECODER,
    ENCODER,
    EVENT_ID,
    PREFIX,
    SPAN,
    TRACE,
    USER,
    LetterSent,
    changed,
    recorded,
    sent,
)


def test_an_event_comes_with_its_circumstances() -> None:
    assert DECODER.decode(ENCODER.encode(recorded(sent(receiver="Ada", pin="1")))) == CloudEvent(
        source="/post/office",
        event=sent(receiver="Ada"),
        metadata=EventMetadata(
            correlation_id="request 7", causation_id=CAUSE, trace_id=TRACE, span_id=SPAN
        ),
        stream=StreamId("parcel", "7"),
        version=3,
    )


def test_its_repr_shows_no_personal_field() -> None:
    assert "Ada" not in repr(DECODER.decode(ENCODER.encode(recorded(sent(receiver="Ada")))))


def test_an_event_of_the_official_library_is_read() -> None:
    """Its version is 1 where it says none, and so it goes through the upcaster."""
    theirs = TheirCloudEvent(
        {"id": str(EVENT_ID), "source": "https://post.example", "type": PREFIX + "ParcelSent"},
        {"user_id": str(USER), "kilograms": 2},
    )
    read = DECODER.decode(JSONFormat().write(theirs))
    assert isinstance(read.event, type(sent()))
    assert (read.event.event_id, read.event.grams) == (EVENT_ID, 2000)
    assert read.event.occurred_at == theirs.get_time()
    assert (read.source, read.stream, read.version) == ("https://post.example", None, None)


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-31T12:30:00.25Z",
        "2026-01-31t12:30:00.250z",
        "2026-01-31T12:30:00.250000999Z",
        "2026-01-31T13:30:00.25+01:00",
    ],
)
def test_times_are_read_in_every_form_of_the_standard(time: str) -> None:
    assert DECODER.decode(changed(time=time)).event == sent()


def test_the_context_says_which_event_it_is_and_not_the_data() -> None:
    data = {"event_id": CANARY, "occurred_at": CANARY, "user_id": str(USER), "grams": 1200}
    assert DECODER.decode(changed(data=data)).event == sent()


@pytest.mark.parametrize(
    "members",
    [
        {"comexampleother": "value", "n2": 5, "flag": True},
        {"correlationid": None, "dataschema": "https://post.example/parcel"},
        {"datacontenttype": None},
        {"datacontenttype": "application/vnd.post+json; charset=utf-8"},
        {"datacontenttype": "text/json"},
        {"subject": ...},
        {"data_base64": None},
    ],
)
def test_what_it_does_not_know_and_does_not_need_is_left_aside(members: dict[str, Any]) -> None:
    assert DECODER.decode(changed(**members)).event == sent()


@pytest.mark.parametrize(
    ("members", "metadata"),
    [
        ({"causationid": "order-123"}, "causation_id"),
        ({"traceparent": "00-xyz"}, "trace_id"),
        ({"traceparent": f"ff-{TRACE}-{SPAN}-01"}, "trace_id"),
        ({"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, "span_id"),
    ],
)
def test_extensions_that_others_fill_otherwise_are_left_aside(
    members: dict[str, Any], metadata: str
) -> None:
    assert getattr(DECODER.decode(changed(**members)).metadata, metadata) is None


def test_a_partition_key_of_somebody_elses_is_no_stream() -> None:
    assert DECODER.decode(changed(partitionkey="eu west 1")).stream is None


def test_an_event_of_no_known_class_is_kept_as_it_is() -> None:
    read = CloudEventDecoder(EventCodec(EventRegistry()), type_prefix=PREFIX).decode(changed())
    assert isinstance(read.event, UnknownEvent)
    assert (read.event.name, read.event.schema_version) == ("ParcelSent", 2)
    assert (read.event.event_id, read.event.subject) == (EVENT_ID, str(USER))
    assert CODEC.decode(EventCodec(EventRegistry()).encode(read.event)) == sent()


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"specversion": "0.3"}, ".specversion"),
        ({"specversion": ...}, ".specversion"),
        ({"specversion": 1.0}, ".specversion"),
        ({"id": ...}, ".id"),
        ({"id": ""}, ".id"),
        ({"id": CANARY}, ".id"),
        ({"id": 7}, ".id"),
        ({"source": ...}, ".source"),
        ({"source": ""}, ".source"),
        ({"source": f"{CANARY} {CANARY}"}, ".source"),
        ({"type": ...}, ".type"),
        ({"type": PREFIX}, ".type"),
        ({"type": CANARY}, ".type"),
        ({"time": ...}, ".time"),
        ({"time": CANARY}, ".time"),
        ({"time": "2026-01-31"}, ".time"),
        ({"time": "2026-13-31T00:00:00Z"}, ".time"),
        ({"time": "2026-01-31T12:30:00999Z"}, ".time"),
        ({"time": "2026-01-31T12:30:00.Z"}, ".time"),
        ({"time": "2026-01-31T12:30:00"}, ".time"),
        ({"subject": ""}, ".subject"),
        ({"subject": f"{CANARY}\n"}, ".subject"),
        ({"subject": 5}, ".subject"),
        ({"datacontenttype": "text/xml"}, ".datacontenttype"),
        ({"datacontenttype": 1}, ".datacontenttype"),
        ({"schemaversion": "2"}, ".schemaversion"),
        ({"schemaversion": True}, ".schemaversion"),
        ({"schemaversion": 2**31}, ".schemaversion"),
        ({"streamversion": -(2**31) - 1}, ".streamversion"),
        ({"other": 1.5}, ".other"),
        ({"other": [CANARY]}, ".other"),
        ({"other": {CANARY: 1}}, ".other"),
        ({"a" * 21: [CANARY]}, ".?"),
        ({f"{CANARY}": 1}, ""),
        ({"with_underscore": 1}, ""),
        ({"data": ...}, ".data"),
        ({"data": None}, ".data"),
        ({"data": [CANARY]}, ".data"),
        ({"data": CANARY}, ".data"),
        ({"data_base64": "e30="}, ".data_base64"),
        ({"data": ..., "data_base64": "e30="}, ".data_base64"),
    ],
)
def test_what_is_no_cloud_event_of_ours_is_refused_by_its_place(
    members: dict[str, Any], path: str
) -> None:
    with pytest.raises(DecodingError) as refused:
        DECODER.decode(changed(**members))
    assert (refused.value.event_type, refused.value.path) == ("CloudEvent", path)
    assert_discreet(refused.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        CANARY.encode(),
        b'{"specversion": "1.0", "specversion": "1.0"}',
        b'{"n": NaN}',
        b'{"n": 1e999}',
        b"\xff",
        b'"\\ud800"',
    ],
)
def test_what_is_no_object_of_json_is_refused(data: bytes) -> None:
    with pytest.raises(DecodingError) as refused:
        DECODER.decode(data)
    assert refused.value.event_type == "CloudEvent"
    assert_discreet(refused.value)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"grams": 1}, ".user_id"),
        ({"grams": CANARY, "user_id": str(USER)}, ".grams"),
        ({"grams": 1, "user_id": CANARY}, ".user_id"),
    ],
)
def test_data_that_is_not_what_the_class_says_is_refused(data: dict[str, Any], path: str) -> None:
    with pytest.raises(DecodingError) as refused:
        DECODER.decode(changed(data=data))
    assert (refused.value.event_type, refused.value.path) == ("ParcelSent", path)
    assert_discreet(refused.value)


def test_an_event_of_a_newer_release_is_refused() -> None:
    with pytest.raises(FutureSchemaVersion):
        DECODER.decode(changed(schemaversion=3))


@pytest.mark.parametrize("limits", [Limits(max_bytes=1000), Limits(max_depth=3, max_items=200)])
def test_what_the_limits_let_out_they_let_in_and_no_more(limits: Limits) -> None:
    codec = EventCodec(CODEC.registry, limits=limits)
    assert CloudEventDecoder(codec, type_prefix=PREFIX).decode(changed()).event == sent()
    nested: Any = []
    for _ in range(20):
        nested = [nested] * 2 if len(json.dumps(nested)) < 40_000 else [nested]
    with pytest.raises(LimitExceeded):
        CloudEventDecoder(codec, type_prefix=PREFIX).decode(changed(data={"deep": nested}))


def test_the_largest_event_that_is_written_is_read() -> None:
    letter = LetterSent(sender="")
    room = 2**20 - len(CODEC.encode(letter).data)
    letter = LetterSent(sender="a" * room, occurred_at=letter.occurred_at)
    assert DECODER.decode(ENCODER.encode(recorded(letter))).event == letter
    with pytest.raises(LimitExceeded):
        DECODER.decode(b" " * (2**20 + 2**17))


@given(st.binary() | st.text().map(str.encode))
def test_nothing_but_errors_of_the_codec_escapes(data: bytes) -> None:
    with pytest.raises(CodecError):
        DECODER.decode(data)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from(["id", "source", "type", "time", "subject", "specversion", "data"])
        | st.sampled_from(["schemaversion", "partitionkey", "streamversion", "datacontenttype"])
        | st.sampled_from(["correlationid", "causationid", "traceparent", "data_base64"])
        | st.text(),
        values,
        max_size=3,
    )
)
def test_whatever_is_put_in_its_place_it_is_read_or_refused(members: dict[str, Any]) -> None:
    try:
        read = DECODER.decode(changed(**members))
    except CodecError:
        return
    assert isinstance(read.event.event_id, UUID)


def assert_discreet(error: CodecError) -> None:
    """Nothing of the input is in the error, in what it came from, or in its pickled form."""
    assert CANARY not in "".join(traceback.format_exception(error))
    assert error.__cause__ is None
    assert CANARY.encode() not in pickle.dumps(error)
    assert error.__context__ is None or CANARY not in str(error.__context__)
