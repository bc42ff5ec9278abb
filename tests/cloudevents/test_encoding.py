"""What a recorded event looks like to whoever knows CloudEvents and nothing of this library."""

import json
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.cloudevents import CloudEventDecoder, CloudEventEncoder
from dashtam_events.codec import EncodedEvent, EventCodec, Limits
from dashtam_events.declaration import Privacy
from dashtam_events.errors import EncodingError, InvalidEventClass, LimitExceeded
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.recorded import EventMetadata, RecordedEvent
from dashtam_events.registry import EventRegistry
from dashtam_events.testing import events, recorded_events
from tests.cloudevents.parcels import (
    CANARY,
    CAUSE,
    CODEC,
    ENCODER,
    EVENT_ID,
    PREFIX,
    SPAN,
    TRACE,
    USER,
    AddressLost,
    Label,
    LetterSent,
    recorded,
    sent,
    written,
)
from tests.subscriptions.houses import DoorOpened

EVERYTHING = CloudEventEncoder(EventCodec(CATALOGUE), source="urn:example:banking")
DISCREET = CloudEventEncoder(EventCodec(CATALOGUE), source="/a", personal=False)
EVERY_READER = CloudEventDecoder(EventCodec(CATALOGUE))


def test_each_attribute_stands_where_the_specification_has_it() -> None:
    assert written(sent()) == {
        "specversion": "1.0",
        "id": str(EVENT_ID),
        "source": "/post/office",
        "type": "com.example.post.ParcelSent",
        "subject": str(USER),
        "time": "2026-01-31T12:30:00.250000Z",
        "schemaversion": 2,
        "partitionkey": "parcel-7",
        "streamversion": 3,
        "correlationid": "request 7",
        "causationid": str(CAUSE),
        "traceparent": f"00-{TRACE}-{SPAN}-01",
        "datacontenttype": "application/json",
        "data": {
            "user_id": str(USER),
            "grams": 1200,
            "receiver": None,
            "label": None,
            "labels": [],
            "more": [],
        },
    }


def test_attributes_that_have_nothing_to_say_are_left_out() -> None:
    members = written(LetterSent(sender="Ada"), EventMetadata())
    assert members.keys() == {
        *("specversion", "id", "source", "type", "time", "schemaversion"),
        *("partitionkey", "streamversion", "datacontenttype", "data"),
    }


def test_no_secret_and_no_personal_metadata_leaves() -> None:
    assert CANARY not in json.dumps(written(sent(pin=CANARY)))


@pytest.mark.parametrize(
    "metadata",
    [
        {"correlation_id": "a\nb"},
        {"correlation_id": ""},
        {"correlation_id": "\ufffe"},
        {"correlation_id": "\x9f"},
        {"trace_id": TRACE},
        {"trace_id": TRACE.upper(), "span_id": SPAN},
        {"trace_id": "0" * 32, "span_id": SPAN},
        {"trace_id": TRACE, "span_id": "0" * 16},
    ],
)
def test_metadata_that_no_attribute_can_hold_is_left_out(metadata: dict[str, str]) -> None:
    """It may be a client's: it must not hold up the event."""
    assert written(sent(), EventMetadata(**metadata)) == written(sent(), EventMetadata())  # type: ignore[arg-type]  # texts only


def test_personal_fields_travel_unless_they_are_to_stay() -> None:
    ada = Label(grams=1, name="Ada")
    parcel = sent(receiver="Ada", label=ada, labels=frozenset({ada}), more=(ada, ada))
    assert json.dumps(written(parcel)).count("Ada") == 5
    discreet = CloudEventEncoder(CODEC, source="/post", personal=False)
    data = json.loads(discreet.encode(recorded(parcel)))["data"]
    one = {"grams": 1}
    assert data.pop("user_id") == str(USER)
    assert data == {"grams": 1200, "label": one, "labels": [one], "more": [one, one]}


def test_of_an_unknown_event_nobody_knows_what_is_personal() -> None:
    stored = CODEC.encode(sent())
    unknown = EventCodec(CATALOGUE).decode(stored)
    members = written(sent())
    del members["subject"]
    assert json.loads(ENCODER.encode(recorded(unknown))) == members
    discreet = CloudEventEncoder(CODEC, source="/post", personal=False)
    with pytest.raises(EncodingError, match="registered class"):
        discreet.encode(recorded(unknown))


def test_a_subject_that_is_personal_is_no_attribute() -> None:
    codec = EventCodec(EventRegistry([AddressLost]))
    letter = recorded(AddressLost(address=CANARY))
    members = json.loads(CloudEventEncoder(codec, source="/post").encode(letter))
    assert "subject" not in members
    assert members["data"] == {"address": CANARY}


@settings(max_examples=50)
@given(events(CATALOGUE))
def test_of_no_event_of_the_catalogue_a_personal_field_leaves_that_is_to_stay(
    event: DomainEvent,
) -> None:
    members = json.loads(DISCREET.encode(recorded(event)))
    spec = spec_of(type(event))
    assert set(members["data"]) == set(spec.fields_of(Privacy.PUBLIC))
    assert ("subject" in members) <= (spec.subject in spec.fields_of(Privacy.PUBLIC))


def test_a_name_that_no_attribute_can_hold_is_refused() -> None:
    stored = EncodedEvent("Parcel\nSent", 1, CODEC.encode(sent()).data)
    with pytest.raises(EncodingError, match="control characters"):
        ENCODER.encode(recorded(CODEC.decode(stored)))


def test_what_the_codec_refuses_is_refused() -> None:
    with pytest.raises(InvalidEventClass):
        ENCODER.encode(recorded(DoorOpened(number=1)))
    small = CloudEventEncoder(EventCodec(CODEC.registry, limits=Limits(max_bytes=10)), source="/a")
    with pytest.raises(LimitExceeded):
        small.encode(recorded(sent()))


@pytest.mark.parametrize("source", ["", "a b", "a\n", "ä", "%zz", "<a>"])
def test_a_source_is_a_uri_reference(source: str) -> None:
    with pytest.raises(ValueError, match="URI-reference"):
        CloudEventEncoder(CODEC, source=source)


def test_a_prefix_has_no_control_characters() -> None:
    with pytest.raises(ValueError, match="prefix"):
        CloudEventEncoder(CODEC, source="/a", type_prefix="a\n")


@settings(max_examples=50)
@given(recorded_events(CATALOGUE, max_size=2))
def test_every_event_of_the_catalogue_comes_back_and_the_official_library_reads_it(
    history: tuple[RecordedEvent, ...],
) -> None:
    for each in history:
        encoded = EVERYTHING.encode(each)
        theirs = JSONFormat().read(None, encoded)
        assert theirs.get_id() == str(each.event.event_id)
        assert theirs.get_time() == each.event.occurred_at
        assert theirs.get_source() == "urn:example:banking"
        assert theirs.get_specversion() == "1.0"
        assert theirs.get_extension("partitionkey") == str(each.stream)
        assert theirs.get_data() == json.loads(encoded)["data"]
        read = EVERY_READER.decode(encoded)
        assert (read.event, read.stream, read.version) == (each.event, each.stream, each.version)
        assert type(read.event) is type(each.event)
        assert read.metadata.causation_id == each.metadata.causation_id


@given(st.text())
def test_whatever_a_correlation_id_is_the_official_library_reads_the_rest(text: str) -> None:
    metadata = EventMetadata(correlation_id=text)
    encoded = ENCODER.encode(recorded(sent(), metadata))
    theirs: Any = JSONFormat().read(None, encoded)
    assert theirs.get_type() == PREFIX + "ParcelSent"
    assert theirs.get_extension("correlationid") in (text, None)
