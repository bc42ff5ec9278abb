"""The parser of the testing kit: WHATWG HTML, 9.2.6, clause by clause; then encode and parse."""

import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashtam_events.sse import ServerSentEvent, comment, frame
from dashtam_events.testing.sse import ReceivedEvent, SSEParser, parse_sse

BOM = b"\xef\xbb\xbf"


def received(data: str, *, id: str = "", type: str = "message") -> ReceivedEvent:
    return ReceivedEvent(id=id, type=type, data=data)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [received("a")]),
        (b"data:a\n\n", [received("a")]),
        (b"data:  a\n\n", [received(" a")]),
        (b"data: a\ndata: b\n\n", [received("a\nb")]),
        (b"data\n\n", [received("")]),
        (b"data\ndata\n\n", [received("\n")]),
        (b"data: a", []),
        (b"data: a\n", []),
        (b"event: x\n\ndata: a\n\n", [received("a")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [received("a", type="x"), received("b")]),
        (b"event: x\nevent: y\ndata: a\n\n", [received("a", type="y")]),
        (b"id: 1\ndata: a\n\ndata: b\n\n", [received("a", id="1"), received("b", id="1")]),
        (b"id: 1\n\ndata: b\n\n", [received("b", id="1")]),
        (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [received("a", id="1"), received("b")]),
        (b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", [received("a", id="1"), received("b", id="1")]),
        (b": a comment\ndata: a\n:\n\n", [received("a")]),
        (b": only a comment\n\n", []),
        (b"Data: a\nunknown: b\ndata: c\n\n", [received("c")]),
        (b" data: a\n\n", []),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", [received("a"), received("b"), received("c")]),
        (b"data: a\r\n\n", [received("a")]),
        (b"data: a\r\ndata: b\r\n\r\n", [received("a\nb")]),
        (b"data: a\rdata: b\n\r", [received("a\nb")]),
        (b"\n\n\n", []),
        (BOM + b"data: a\n\n", [received("a")]),
        (BOM + BOM + b"data: a\n\n", []),
        (b"data: a\n\n" + BOM + b"data: b\n\n", [received("a")]),
        (b"data: \xff\n\n", [received("\ufffd")]),
        (
            "data: a\u2028b\u0085c\x0bd\x0c\n\n".encode(),
            [received("a\u2028b\u0085c\x0bd\x0c")],
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_stream_is_read_as_the_standard_says(
    stream: bytes, expected: list[ReceivedEvent], size: int
) -> None:
    parser = SSEParser()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [event for piece in pieces for event in parser.feed(piece)] == expected


@pytest.mark.parametrize(
    ("line", "retry"),
    [(b"3000", 3000), (b"0", 0), (b"", None), (b"-1", None), (b"1.5", None), (b"3s", None)],
)
def test_a_waiting_time_is_ascii_digits(line: bytes, retry: int | None) -> None:
    parser = SSEParser()
    [event] = parser.feed(b"retry: " + line + b"\ndata: a\n\n")
    assert (event.retry, parser.retry) == (retry, retry)
    [after] = parser.feed(b"data: b\n\n")
    assert (after.retry, parser.retry) == (None, retry)


def test_digits_of_other_scripts_are_no_waiting_time() -> None:
    [event] = parse_sse("retry: \N{ARABIC-INDIC DIGIT THREE}\ndata: a\n\n".encode())
    assert event.retry is None


def test_the_last_event_id_counts_from_the_blank_line_on() -> None:
    """A client that is cut off within an event comes back with the id before it."""
    parser = SSEParser()
    parser.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")
    assert parser.last_event_id == "1"
    parser.feed(b"\n")
    assert parser.last_event_id == "2"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128)
TYPES = VISIBLE.filter(lambda text: text not in {"error", "message", "open"})
DATA = st.dictionaries(st.text(), JSON, max_size=4)

PIECES = [
    b"data: a",
    b"data",
    b"id: 1",
    b"id",
    b"event: x",
    b":",
    b"\r",
    b"\n",
    b"\r\n",
    BOM,
    b"\xe2",
]


@st.composite
def chunks(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(VISIBLE, TYPES, DATA, st.none() | st.integers(0, 10**6))), st.data())
def test_what_was_encoded_is_received_however_it_is_cut(
    sent: list[tuple[str, str, dict[str, Any], int | None]], data: st.DataObject
) -> None:
    frames = [
        frame(event_id=event_id, event_type=event_type, data=content, retry=retry)
        for event_id, event_type, content, retry in sent
    ]
    stream = comment("keep-alive").join(frames)
    parser = SSEParser()
    events = [event for chunk in data.draw(chunks(stream)) for event in parser.feed(chunk)]
    assert [(each.id, each.type, json.loads(each.data), each.retry) for each in events] == sent


@settings(deadline=None)
@given(TYPES, DATA)
@example("door.opened", {"text": "\r\n\r\nid: 1\n\u2028\u2029\x85\0\ufeff\N{GRINNING FACE}"})
@example("door.opened", {"text": "a" * 2**20})
def test_a_server_sent_event_arrives_whole(event_type: str, content: dict[str, Any]) -> None:
    shown = ServerSentEvent(event_type=event_type, user_id=uuid4(), data=content)
    [event] = parse_sse(shown.encode())
    assert (event.id, event.type) == (str(shown.event_id), event_type)
    assert json.loads(event.data) == content
    assert ServerSentEvent.from_dict(shown.to_dict()) == shown


@settings(deadline=None)
@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_no_bytes_break_the_parser(stream: bytes) -> None:
    """And cutting them elsewhere changes nothing."""
    byte_by_byte = SSEParser()
    one_by_one = [e for n in range(len(stream)) for e in byte_by_byte.feed(stream[n : n + 1])]
    assert parse_sse(stream) == one_by_one
