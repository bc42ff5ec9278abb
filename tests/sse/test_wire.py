"""What goes onto the wire of server-sent events, and what is refused."""

import json
import math
import re
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_events._frozen import FrozenDict
from dashtam_events.errors import SSEEncodingError
from dashtam_events.sse import comment, encode_data, frame

ID = UUID("0192f3a4-7d1e-7c3b-9a50-6f1f1c2b3a4d")
SURROGATE = "\ud800"


class Colour(StrEnum):
    RED = "red"


class Weight(Enum):
    HEAVY = Decimal("1.50")
    BROKEN = math.nan


class Rank(IntEnum):
    FIRST = 1


class Text(str):
    __slots__ = ()


@attrs.frozen
class Address:
    street: str


def test_a_frame_has_an_id_a_type_one_line_of_data_and_a_blank_line() -> None:
    encoded = frame(event_id=ID, event_type="door.opened", data={"door": "front", "times": 2})
    assert encoded == (
        b"id: 0192f3a4-7d1e-7c3b-9a50-6f1f1c2b3a4d\n"
        b"event: door.opened\n"
        b'data: {"door":"front","times":2}\n\n'
    )


def test_a_waiting_time_comes_with_its_frame() -> None:
    encoded = frame(event_id="17", event_type="stream.open", data={}, retry=3000)
    assert encoded == b"retry: 3000\nid: 17\nevent: stream.open\ndata: {}\n\n"


@pytest.mark.parametrize("retry", [-1, 2**31, 1.5, True, "3000"])
def test_a_waiting_time_is_a_number_of_milliseconds(retry: Any) -> None:
    with pytest.raises(SSEEncodingError, match="retry"):
        frame(event_id=ID, event_type="door.opened", data={}, retry=retry)


def test_a_comment_keeps_a_connection_alive() -> None:
    assert comment("keep-alive") == b": keep-alive\n\n"
    assert comment() == b": \n\n"


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_a_comment_is_one_line_of_printable_ascii(text: str) -> None:
    with pytest.raises(SSEEncodingError, match="comment"):
        comment(text)


UNSENDABLE = ["", " a", "a ", "a b", "a\n", "a\r", "a\nid: 1", "a\0", "\x7f", "caf\xe9", "a" * 129]


@pytest.mark.parametrize("text", UNSENDABLE)
def test_an_id_or_a_type_that_a_client_would_change_is_refused(text: str) -> None:
    with pytest.raises(SSEEncodingError, match="event_id"):
        frame(event_id=text, event_type="door.opened", data={})
    with pytest.raises(SSEEncodingError, match="event_type"):
        frame(event_id=ID, event_type=text, data={})


def test_128_visible_characters_are_an_id_and_a_type() -> None:
    assert frame(event_id="~" * 128, event_type="!" * 128, data={})


@pytest.mark.parametrize("reserved", ["error", "message", "open"])
def test_a_type_that_browsers_reserve_is_refused(reserved: str) -> None:
    with pytest.raises(SSEEncodingError, match="event_type"):
        frame(event_id=ID, event_type=reserved, data={})


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (ID, '"0192f3a4-7d1e-7c3b-9a50-6f1f1c2b3a4d"'),
        (datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC), '"2026-01-02T03:04:05.000600Z"'),
        (
            datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2))),
            '"2026-01-02T00:00:00+02:00"',
        ),
        (date(2026, 1, 2), '"2026-01-02"'),
        (Decimal("1234.50"), '"1234.50"'),
        (Colour.RED, '"red"'),
        (Weight.HEAVY, '"1.50"'),
        (Rank.FIRST, "1"),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        (2**53 - 1, "9007199254740991"),
        ((1, "a", None), '[1,"a",null]'),
        (FrozenDict({"a": FrozenDict({"b": (1,)})}), '{"a":{"b":[1]}}'),
        (OrderedDict(a=1), '{"a":1}'),
    ],
)
def test_values_that_are_carried(value: Any, sent: str) -> None:
    assert encode_data({"value": value}).decode() == f'{{"value":{sent}}}'


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (math.nan, "data.value"),
        (math.inf, "data.value"),
        (-math.inf, "data.value"),
        (Decimal("NaN"), "data.value"),
        (Decimal("-Infinity"), "data.value"),
        (Weight.BROKEN, "data.value"),
        (SURROGATE, "data.value"),
        ([1, {"deep": SURROGATE}], "data.value[1].deep"),
        ({"list": (1, [math.nan])}, "data.value.list[1][0]"),
        (FrozenDict({"inner": math.nan}), "data.value.inner"),
        ({1: "a"}, "data.value"),
        ({None: "a"}, "data.value"),
        ({SURROGATE: "a"}, "data.value"),
        ({Colour.RED: "a"}, "data.value"),
        (datetime(2026, 1, 2), "data.value"),  # noqa: DTZ001  # what is refused
        (time(1, 2), "data.value"),
        (timedelta(1), "data.value"),
        (b"bytes", "data.value"),
        ({1, 2}, "data.value"),
        (Text("canary"), "data.value"),
        (Address("canary"), "data.value"),
        (object(), "data.value"),
        (2**53, "data.value"),
        (-(2**53), "data.value"),
        (2**70, "data.value"),
    ],
)
def test_values_that_are_refused_are_named_by_their_path(value: Any, path: str) -> None:
    with pytest.raises(SSEEncodingError) as refused:
        encode_data({"fine": 1, "value": value})
    assert refused.value.path == path
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_what_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(SSEEncodingError, match="at most 64 levels"):
        encode_data({"value": endless})
    circle: dict[str, Any] = {}
    circle["again"] = circle
    with pytest.raises(SSEEncodingError, match="at most 64 levels"):
        encode_data(circle)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(categories=None))
    | st.decimals()
    | st.datetimes()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), ANYTHING, max_size=3))
def test_data_is_one_line_of_strict_json_or_refused(data: dict[str, Any]) -> None:
    """No other error ever comes out, and no line end ever goes in."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    try:
        encoded = encode_data(data)
    except SSEEncodingError:
        return
    assert not re.search(rb"[\r\n]", encoded)
    json.loads(encoded, parse_constant=refuse)
