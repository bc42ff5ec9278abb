"""What is refused on the way in is refused on the way out, by path and type, never by value."""

import pickle
import time
import traceback
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from dashtam_events.codec import EncodedEvent, EventCodec, Limits
from dashtam_events.errors import (
    CodecError,
    DecodingError,
    EncodingError,
    FutureSchemaVersion,
    InvalidEventClass,
    LimitExceeded,
)
from dashtam_events.recorded import UnknownEvent
from dashtam_events.registry import EventRegistry
from tests.codec.samples import (
    REGISTRY,
    EverythingHappened,
    Line,
    MappingsKept,
    NothingPersonalHappened,
    TransferBooked,
    Tree,
    TreeGrown,
    of,
    transfer,
    wide,
)

CODEC = EventCodec(REGISTRY)
TRANSFER = CODEC.encode(transfer()).data
WIDE = CODEC.encode(wide()).data
CANARY = "CANARY-7f3a"
MAPPED = CODEC.encode(MappingsKept(rates={"EUR": Decimal(1)})).data


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"text": 5}, ".text"),
        ({"text": None}, ".text"),
        ({"text": "a\0b"}, ".text"),
        ({"text": "\ud800"}, ".text"),
        ({"text": b"bytes"}, ".text"),
        ({"whole": True}, ".whole"),
        ({"whole": 1.0}, ".whole"),
        ({"whole": "1"}, ".whole"),
        ({"whole": 2**53}, ".whole"),
        ({"whole": -(2**53)}, ".whole"),
        ({"number": float("nan")}, ".number"),
        ({"number": float("inf")}, ".number"),
        ({"number": float("-inf")}, ".number"),
        ({"number": True}, ".number"),
        ({"number": 2**60}, ".number"),
        ({"number": Decimal(1)}, ".number"),
        ({"flag": 1}, ".flag"),
        ({"nothing": 0}, ".nothing"),
        ({"uid": "01890a5d-ac96-774b-bcce-b302099a8057"}, ".uid"),
        ({"amount": 1}, ".amount"),
        ({"amount": 1.5}, ".amount"),
        ({"amount": Decimal("NaN")}, ".amount"),
        ({"amount": Decimal("-Infinity")}, ".amount"),
        ({"at": date(2026, 1, 1)}, ".at"),
        ({"day": datetime(2026, 1, 1)}, ".day"),  # noqa: DTZ001  # naive on purpose
        ({"side": "buy"}, ".side"),
        ({"grade": 2}, ".grade"),
        ({"choice": True}, ".choice"),
        ({"choice": []}, ".choice"),
        ({"maybe": "1"}, ".maybe"),
        ({"line": None}, ".line"),
        ({"line": Line(total=1)}, ".line.total"),  # type: ignore[arg-type]  # wrong on purpose
        ({"lines": [Line(total=Decimal(1))]}, ".lines"),
        ({"lines": (Line(total=Decimal(1)), 5)}, ".lines[1]"),
        ({"lines": (Line(total=Decimal(1)), Line(total=Decimal("NaN")))}, ".lines[1].total"),
        ({"pair": (1,)}, ".pair"),
        ({"pair": (1, 2)}, ".pair[1]"),
        ({"tags": {"a"}}, ".tags"),
        ({"tags": frozenset({1})}, ".tags[*]"),
    ],
)
@pytest.mark.parametrize("cls", [EverythingHappened, NothingPersonalHappened])
def test_a_value_of_another_type_is_not_written(
    changed: dict[str, Any], path: str, cls: type[NothingPersonalHappened]
) -> None:
    with pytest.raises(EncodingError) as caught:
        CODEC.encode(wide(cls, **changed))
    assert (caught.value.event_type, caught.value.path) == (cls.__name__, path)


@pytest.mark.parametrize(
    ("rates", "path"),
    [
        ({1: Decimal(1)}, ".rates[*]"),
        ({"a\0": Decimal(1)}, ".rates[*]"),
        ({"EUR": 1}, ".rates[*]"),
        (["EUR"], ".rates"),
    ],
)
def test_a_mapping_has_keys_of_text_and_values_of_its_type(rates: Any, path: str) -> None:
    with pytest.raises(EncodingError) as caught:
        CODEC.encode(MappingsKept(rates=rates))
    assert caught.value.path == path


def test_an_instant_without_an_offset_is_not_even_an_event() -> None:
    with pytest.raises(ValueError, match="naive"):
        wide(at=datetime(2026, 1, 1))  # noqa: DTZ001  # naive on purpose


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (b'"text":"t"', b'"text":5', ".text"),
        (b'"text":"t"', b'"text":null', ".text"),
        (b'"text":"t"', b'"text":"\\u0000"', ".text"),
        (b'"text":"t"', b'"text":"\\ud800"', ".text"),
        (b'"text":"t",', b"", ".text"),
        (b'"whole":1', b'"whole":"1"', ".whole"),
        (b'"whole":1', b'"whole":true', ".whole"),
        (b'"whole":1', b'"whole":1.0', ".whole"),
        (b'"whole":1', b'"whole":9007199254740992', ".whole"),
        (b'"number":1.5', b'"number":"1.5"', ".number"),
        (b'"flag":true', b'"flag":1', ".flag"),
        (b'"flag":true', b'"flag":"true"', ".flag"),
        (b'"nothing":null', b'"nothing":0', ".nothing"),
        (b'"uid":"0', b'"uid":"{0', ".uid"),
        (b'"uid":"01890a5d-', b'"uid":"01890a5d', ".uid"),
        (b'"amount":"1E+5"', b'"amount":100000', ".amount"),
        (b'"amount":"1E+5"', b'"amount":"1_0"', ".amount"),
        (b'"amount":"1E+5"', b'"amount":" 1"', ".amount"),
        (b'"amount":"1E+5"', b'"amount":"NaN"', ".amount"),
        (b'"amount":"1E+5"', b'"amount":"Infinity"', ".amount"),
        (b'"amount":"1E+5"', b'"amount":"1E99999999999999999999"', ".amount"),
        (b'"at":"2026-01-02T', b'"at":"2026-01-02 ', ".at"),
        (b'"at":"2026-01-02T03:04:05.678901Z"', b'"at":"2026-01-02T03:04:05"', ".at"),
        (b'"at":"2026-01-02T03:04:05.678901Z"', b'"at":"2026-01-02T03:04:05.6789011Z"', ".at"),
        (b'"at":"2026-01-02T03:04:05.678901Z"', b'"at":1767322000', ".at"),
        (b'"at":"2026-01-02', b'"at":"2026-02-30', ".at"),
        (b'"day":"2026-01-02"', b'"day":"20260102"', ".day"),
        (b'"day":"2026-01-02"', b'"day":"2026-13-02"', ".day"),
        (b'"maybe":null', b'"maybe":"NaN"', ".maybe"),
        (b'"side":"buy"', b'"side":"hold"', ".side"),
        (b'"side":"buy"', b'"side":["buy"]', ".side"),
        (b'"grade":2', b'"grade":2.0', ".grade"),
        (b'"choice":1', b'"choice":true', ".choice"),
        (b'"line":{"total":"1"', b'"line":{"total":1', ".line.total"),
        (b'"line":{"total":"1"', b'"line":{"t":"1"', ".line.total"),
        (b'{"total":"3"', b'{"total":"x"', ".lines[1].total"),
        (b'"lines":[', b'"lines":[7,', ".lines[0]"),
        (b'"pair":[1,"x"]', b'"pair":[1]', ".pair"),
        (b'"pair":[1,"x"]', b'"pair":[1,2]', ".pair[1]"),
        (b'"tags":["a","b"]', b'"tags":["a","a"]', ".tags"),
        (b'"tags":["a","b"]', b'"tags":"ab"', ".tags"),
        (b'"event_id":"0', b'"event_id":"x', ".event_id"),
        (b'"event_id"', b'"id"', ".event_id"),
        (b'"occurred_at"', b'"at_"', ".occurred_at"),
        (b'"occurred_at":"2026-01-02T03:04:05.678901Z"', b'"occurred_at":null', ".occurred_at"),
    ],
)
@pytest.mark.parametrize("cls", [EverythingHappened, NothingPersonalHappened])
def test_nothing_is_coerced_when_it_is_read(
    old: bytes, new: bytes, path: str, cls: type[NothingPersonalHappened]
) -> None:
    data = CODEC.encode(wide(cls)).data
    assert old in data
    with pytest.raises(DecodingError) as caught:
        CODEC.decode(of(cls, data.replace(old, new, 1)))
    expected_path = "" if b"\\u" in new or b"9007199254740992" in new else path
    assert (caught.value.event_type, caught.value.path) == (cls.__name__, expected_path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        TRANSFER.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + TRANSFER,
        TRANSFER + b"x",
        TRANSFER[:-1] + b',"memo":"rent"}',
        TRANSFER[:-1] + b',"new":NaN}',
        TRANSFER[:-1] + b',"new":-Infinity}',
        TRANSFER[:-1] + b',"new":1e400}',
        TRANSFER[:-1] + b',"new":9007199254740992}',
        TRANSFER[:-1] + b',"new":' + b"9" * 5000 + b"}",
        TRANSFER[:-1] + b',"new":{"a":1,"a":2}}',
        TRANSFER[:-1] + b',"new":["\\udc00"]}',
        TRANSFER[:-1] + b',"new":{"\\u0000":1}}',
        TRANSFER[:-1] + b',"new":"\x00"}',
        TRANSFER.replace(b"rent", b"\xed\xa0\x80"),
    ],
)
def test_a_document_that_two_readers_could_take_differently_is_refused(data: bytes) -> None:
    with pytest.raises(DecodingError):
        CODEC.decode(of(TransferBooked, data))
    with pytest.raises(DecodingError):
        EventCodec(EventRegistry()).decode(of(TransferBooked, data))


def test_json_that_is_only_written_loosely_is_read() -> None:
    loose = b" " + TRANSFER.replace(b",", b" ,\n").replace(b"rent", b"\\u0072ent")
    assert CODEC.decode(of(TransferBooked, loose)) == transfer()


def test_an_unknown_field_is_kept_out_and_counted() -> None:
    codec = EventCodec(REGISTRY)
    data = TRANSFER[:-1] + b',"fee":1,"not a name":2}'
    assert codec.decode(of(TransferBooked, data)) == transfer()
    nested = WIDE.replace(b'"line":{', b'"line":{"fee":1,')
    assert codec.decode(of(EverythingHappened, nested)) == wide()
    assert codec.unknown_fields == {
        ("TransferBooked", "fee"): 1,
        ("TransferBooked", "?"): 1,
        ("Line", "fee"): 1,
    }


def test_the_names_of_unknown_fields_that_are_counted_have_a_bound() -> None:
    codec = EventCodec(REGISTRY)
    fields = b"".join(b',"f%d":1' % number for number in range(3_000))
    codec.decode(of(TransferBooked, TRANSFER[:-1] + fields + b"}"))
    assert len(codec.unknown_fields) <= 1_001
    assert codec.unknown_fields.total() == 3_000


def test_an_unknown_field_is_refused_by_a_strict_codec() -> None:
    codec = EventCodec(REGISTRY, strict=True)
    assert codec.decode(of(TransferBooked, TRANSFER)) == transfer()
    with pytest.raises(DecodingError, match=r"TransferBooked\.fee: expected no field"):
        codec.decode(of(TransferBooked, TRANSFER[:-1] + b',"fee":1}'))
    nested = WIDE.replace(b'"line":{', b'"line":{"fee":1,')
    with pytest.raises(DecodingError, match=r"EverythingHappened\.line\.fee"):
        codec.decode(of(EverythingHappened, nested))


def test_an_unknown_type_is_read_with_its_bytes() -> None:
    read = CODEC.decode(EncodedEvent(name="Unheard", version=9, data=TRANSFER, subject="s"))
    assert isinstance(read, UnknownEvent)
    assert (read.name, read.schema_version, read.data, read.subject) == (
        "Unheard",
        9,
        TRANSFER,
        "s",
    )


def test_a_version_that_is_not_known_yet_says_so() -> None:
    with pytest.raises(FutureSchemaVersion) as caught:
        CODEC.decode(of(TransferBooked, TRANSFER, version=2))
    assert caught.value.args == ("TransferBooked", 2, 1)


def test_a_version_below_one_is_refused() -> None:
    with pytest.raises(DecodingError, match="a schema version from 1"):
        CODEC.decode(of(TransferBooked, TRANSFER, version=0))


def test_an_event_that_is_not_registered_is_not_written() -> None:
    with pytest.raises(InvalidEventClass, match="not registered"):
        EventCodec(EventRegistry()).encode(transfer())


def _with(new: bytes) -> bytes:
    return TRANSFER[:-1] + b',"new":' + new + b"}"


@pytest.mark.parametrize(
    ("data", "limit"),
    [
        (_with(b'"' + b"x" * 2**20 + b'"'), "size in bytes"),
        (_with(b"[" * 64 + b"]" * 64), "depth"),
        (_with(b"[" * 5_000), "depth"),
        (_with(b'{"a":' * 64 + b"1" + b"}" * 64), "depth"),
        (_with(b'{"a":[' * 32 + b"1" + b"]}" * 32), "depth"),
        (_with(b"[" + b"1," * 10_000 + b"1]"), "number of items"),
        (_with(b"[" + b"[]," * 300_000 + b"1]"), "number of items"),
        (_with(b"[" + b'"",' * 300_000 + b"1]"), "number of items"),
        (_with(b"{" + b'"\\"":1,' * 140_000 + b'"a":1}'), "number of items"),
        (_with(b'"\\\\' + b"\\\\" * 100 + b'",' + b'"y":' + b"[" * 64), "depth"),
    ],
)
def test_what_is_over_a_limit_is_refused_before_it_is_parsed(data: bytes, limit: str) -> None:
    times = []
    for _ in range(7):
        begun = time.thread_time()
        with pytest.raises(LimitExceeded) as caught:
            CODEC.decode(of(TransferBooked, data))
        times.append(time.thread_time() - begun)
    assert caught.value.limit == limit
    assert min(times) < 0.02  # a millisecond or a few on a quiet machine; parsing takes far more


@pytest.mark.parametrize(
    "data",
    [
        _with(b"[" * 63 + b"]" * 63),
        _with(b'"' + b"[{" * 1_000 + b'"'),
        _with(b'"' + b"," * 20_000 + b'"'),
        _with(b'"\\"' + b"[" * 1_000 + b'"'),
        _with(b'"\\\\","y":"' + b"{" * 1_000 + b'"'),
        _with(b'"' + b"{," * 100_000 + b'"'),
        _with(b"[" + b"1," * 9_990 + b"1]"),
        _with(b"[" + b"[]," * 9_990 + b"1]"),
    ],
)
def test_what_is_within_the_limits_is_read(data: bytes) -> None:
    assert EventCodec(REGISTRY).decode(of(TransferBooked, data)) == transfer()


def deep(levels: int) -> Tree:
    tree = Tree("leaf")
    for _ in range(levels):
        tree = Tree("branch", (tree,))
    return tree


@pytest.mark.parametrize(
    ("happened", "limit"),
    [
        (lambda: transfer(memo="x" * 2**20), "size in bytes"),
        (lambda: TreeGrown(tree=deep(40)), "depth"),
        (lambda: TreeGrown(tree=deep(5_000)), "depth"),
        (lambda: TreeGrown(tree=Tree("wide", (Tree("leaf"),) * 6_000)), "number of items"),
        (lambda: MappingsKept(rates={str(n): Decimal(n) for n in range(10_001)}), "number"),
    ],
)
def test_what_is_over_a_limit_is_not_written(happened: Callable[[], Any], limit: str) -> None:
    with pytest.raises(LimitExceeded) as caught:
        CODEC.encode(happened())
    assert caught.value.limit.startswith(limit)


def test_what_may_be_written_may_be_read_at_the_edge_of_the_limits() -> None:
    edge = TreeGrown(tree=deep(30))
    assert CODEC.decode(CODEC.encode(edge)) == edge


def test_other_limits_can_be_chosen() -> None:
    small = EventCodec(REGISTRY, limits=Limits(max_items=5))
    with pytest.raises(LimitExceeded):
        small.encode(transfer())
    with pytest.raises(LimitExceeded):
        small.decode(of(TransferBooked, TRANSFER))
    large = EventCodec(REGISTRY, limits=Limits(max_depth=10**9, max_items=10**9))
    with pytest.raises(DecodingError):
        large.decode(of(TransferBooked, _with(b"[" * 200_000)))
    with pytest.raises(LimitExceeded):
        large.encode(TreeGrown(tree=deep(5_000)))


def _shown(error: BaseException) -> str:
    """Everything that a log could make of an error, its chain included."""
    chain: list[BaseException] = []
    met: BaseException | None = error
    while met is not None:
        chain.append(met)
        met = met.__cause__ or met.__context__
    texts = [part for one in chain for part in (str(one), repr(one), repr(one.args))]
    return "\n".join([*texts, *traceback.format_exception(error)])


@pytest.mark.parametrize(
    "changed",
    [
        {"text": CANARY + "\0"},
        {"text": CANARY + "\ud800"},
        {"text": CANARY.encode()},
        {"whole": CANARY},
        {"amount": CANARY},
        {"uid": CANARY},
        {"side": CANARY},
        {"choice": CANARY},
        {"line": CANARY},
        {"lines": (CANARY,)},
        {"tags": frozenset({CANARY + "\0"})},
    ],
)
@pytest.mark.parametrize("cls", [EverythingHappened, NothingPersonalHappened])
def test_no_value_is_in_an_error_of_encoding(
    changed: dict[str, Any], cls: type[NothingPersonalHappened]
) -> None:
    with pytest.raises(EncodingError) as caught:
        CODEC.encode(wide(cls, **changed))
    assert CANARY not in _shown(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


@pytest.mark.parametrize(
    ("cls", "data"),
    [
        *[
            (EverythingHappened, WIDE.replace(f'"{name}":'.encode(), new, 1))
            for name in ("text", "whole", "amount", "uid", "at", "day", "side", "choice", "line")
            for new in [f'"{name}":["{CANARY}"],"x":'.encode()]
        ],
        (EverythingHappened, WIDE.replace(b'"1E+5"', f'"{CANARY}"'.encode())),
        (TransferBooked, TRANSFER.replace(b"rent", f"{CANARY}\\u0000".encode())),
        (TransferBooked, TRANSFER[:-1] + f',"{CANARY}":{{"{CANARY}":1,'.encode()),
        (TransferBooked, TRANSFER[:-1] + f',"{CANARY}":1,"{CANARY}":2}}'.encode()),
        (MappingsKept, MAPPED.replace(b'"EUR":"1"', f'"{CANARY}":1'.encode())),
        (MappingsKept, CANARY.encode()),
    ],
)
def test_no_value_is_in_an_error_of_decoding(cls: Any, data: bytes) -> None:
    with pytest.raises(CodecError) as caught:
        CODEC.decode(of(cls, data))
    assert CANARY not in _shown(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args
