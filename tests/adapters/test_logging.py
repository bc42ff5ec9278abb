"""Events in the log: what a line holds, what it never holds, and in which form."""

import io
import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from dashtam_events import DomainEvent, event, personal, secret
from dashtam_events.adapters._names import snake_name
from dashtam_events.adapters.logging import KeyValueFormatter, LoggingEventHandler
from dashtam_events.bus.memory import InMemoryEventBus
from dashtam_events.bus.protocol import EventContext
from dashtam_events.catalogue import (
    CATALOGUE,
    FileImportProgress,
    ProviderConnectionAttempted,
    ProviderConnectionFailed,
    ProviderConnectionSucceeded,
    SessionCreatedEvent,
    UserRegistrationSucceeded,
)
from dashtam_events.declaration import LogLevel, Phase
from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.testing.strategies import events
from tests.adapters.marked import METADATA, marked

NOTHING_KNOWN = EventContext()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("dashtam_events.events")
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.setLevel(logging.NOTSET)


async def record_of(
    fact: DomainEvent, caplog: pytest.LogCaptureFixture, context: EventContext = NOTHING_KNOWN
) -> logging.LogRecord:
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        await LoggingEventHandler()(fact, context)
    (record,) = caplog.records
    return record


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("ProviderConnectionSucceeded", "provider_connection_succeeded"),
        ("SessionCreatedEvent", "session_created"),
        ("SSEStreamOpened", "sse_stream_opened"),
        ("KYCChecked2Times", "kyc_checked2_times"),
        ("Event", "event"),
        ("already_snake", "already_snake"),
    ],
)
def test_the_name_is_written_in_snake_case_without_the_suffix(name: str, written: str) -> None:
    assert snake_name(name) == written


def test_no_two_events_of_the_catalogue_share_a_name_in_the_log() -> None:
    names = {snake_name(CATALOGUE.spec_of(cls).name) for cls in CATALOGUE}
    assert len(names) == len(CATALOGUE) == 80


@pytest.mark.parametrize(
    ("cls", "message", "level"),
    [
        (ProviderConnectionAttempted, "provider_connection_attempted", "INFO"),
        (ProviderConnectionSucceeded, "provider_connection_succeeded", "INFO"),
        (ProviderConnectionFailed, "provider_connection_failed", "WARNING"),
        (FileImportProgress, "file_import_progress", "DEBUG"),
        (SessionCreatedEvent, "session_created", "INFO"),
    ],
)
async def test_an_event_is_logged_under_its_name_at_its_level(
    cls: type[DomainEvent], message: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    record = await record_of(marked(cls), caplog)
    assert (record.getMessage(), record.levelname) == (message, level)
    assert record.name == "dashtam_events.events"


async def test_public_fields_are_told_and_ids_are_text(caplog: pytest.LogCaptureFixture) -> None:
    fact = marked(ProviderConnectionSucceeded)
    told = vars(await record_of(fact, caplog))
    assert told["event_type"] == "ProviderConnectionSucceeded"
    assert told["event_id"] == str(fact.event_id)
    assert told["occurred_at"] == fact.occurred_at.isoformat()
    assert told["connection_id"] == str(fact.connection_id)
    assert told["provider_slug"] == fact.provider_slug
    assert told["credentials_expire_at"] == "2026-01-02T03:04:05+00:00"


async def test_personal_fields_are_masked_and_secrets_absent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = vars(await record_of(marked(UserRegistrationSucceeded), caplog))
    assert told["email"] == "***"
    assert "verification_token" not in told


async def test_what_led_to_it_is_told_where_it_is_known(caplog: pytest.LogCaptureFixture) -> None:
    fact = marked(ProviderConnectionSucceeded)
    told = vars(await record_of(fact, caplog, EventContext(metadata=METADATA)))
    assert told["correlation_id"] == "request-7"
    assert told["causation_id"] == str(METADATA.causation_id)
    assert told["trace_id"] == METADATA.trace_id
    assert told["span_id"] == METADATA.span_id
    assert not {"actor", "ip_address", "user_agent", "extras", "position"} & told.keys()
    unknown = vars(await record_of(fact, caplog))
    assert not {"correlation_id", "causation_id", "trace_id", "span_id"} & unknown.keys()


async def test_where_it_is_recorded_is_told(caplog: pytest.LogCaptureFixture) -> None:
    fact = marked(ProviderConnectionSucceeded)
    recorded = RecordedEvent(
        position=Position(41),
        stream=StreamId("connection", "7"),
        version=3,
        recorded_at=datetime.now(UTC),
        event=fact,
    )
    told = vars(await record_of(fact, caplog, EventContext(recorded=recorded)))
    assert (told["position"], told["stream"], told["version"]) == (41, "connection-7", 3)


@event
class AwkwardlyNamed(DomainEvent):
    """Every field has a name that somebody else has taken."""

    name: str = "a"
    message: str = "b"
    args: tuple[int, ...] = (1, 2)
    module: str = "c"
    asctime: str = "d"
    taskName: str = "e"  # noqa: N815  # as log records spell it
    event: str = "f"
    level: str = "g"
    position: int = 5
    trace_id: str = "h"
    name_: str = "i"


async def test_a_field_whose_name_is_taken_gets_another(caplog: pytest.LogCaptureFixture) -> None:
    record = await record_of(AwkwardlyNamed(), caplog, EventContext(metadata=METADATA))
    told = vars(record)
    assert record.name == "dashtam_events.events"
    assert record.getMessage() == "awkwardly_named"
    assert (told["name__"], told["name_"]) == ("a", "i")
    assert (told["message_"], told["args_"], told["module_"]) == ("b", [1, 2], "c")
    assert (told["asctime_"], told["taskName_"], told["event_"]) == ("d", "e", "f")
    assert (told["position_"], told["level_"]) == (5, "g")
    assert (told["trace_id"], told["trace_id_"]) == (METADATA.trace_id, "h")


async def test_a_name_that_the_services_own_records_take_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    usual = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = usual(*args, **kwargs)
        record.user_id = "of the request"
        return record

    logging.setLogRecordFactory(factory)
    try:
        fact = marked(ProviderConnectionSucceeded)
        told = vars(await record_of(fact, caplog))
    finally:
        logging.setLogRecordFactory(usual)
    assert (told["user_id"], told["user_id_"]) == ("of the request", str(fact.user_id))


class Colour(Enum):
    RED = "red"


@attrs.frozen
class Holder:
    """A value within an event, with privacy of its own."""

    label: str
    phone: str = personal()
    pin: str | None = secret(default=None)


@event
class ValuesKept(DomainEvent):
    """One field of each kind."""

    amount: Decimal
    colour: Colour
    phase: Phase
    ids: frozenset[UUID]
    by_id: Mapping[UUID, Decimal]
    holder: Holder
    holders: frozenset[Holder]
    share: float | None


async def test_every_value_is_plain_enough_for_json(caplog: pytest.LogCaptureFixture) -> None:
    one = uuid4()
    holder = Holder("x", "canary-personal", "canary-secret")
    record = await record_of(
        ValuesKept(
            amount=Decimal("7.50"),
            colour=Colour.RED,
            phase=Phase.FAILED,
            ids=frozenset({one}),
            by_id={one: Decimal("1.0")},
            holder=holder,
            holders=frozenset({holder}),
            share=None,
        ),
        caplog,
    )
    fields = spec_fields(record, ValuesKept)
    assert json.loads(json.dumps(fields)) == {
        "amount": "7.50",
        "colour": "red",
        "phase": "failed",
        "ids": [str(one)],
        "by_id": {str(one): "1.0"},
        "holder": {"label": "x", "phone": "***"},
        "holders": [{"label": "x", "phone": "***"}],
        "share": None,
    }


def spec_fields(record: logging.LogRecord, cls: type[DomainEvent]) -> dict[str, Any]:
    wanted = {field.name for field in attrs.fields(cls)} - {"event_id", "occurred_at"}  # type: ignore[arg-type]  # an attrs class
    return {name: value for name, value in vars(record).items() if name in wanted}


@given(fact=events(CATALOGUE, secrets=True))
async def test_any_event_of_the_catalogue_becomes_one_line_of_json(fact: DomainEvent) -> None:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            usual = vars(logging.makeLogRecord({}))
            extra = {key: value for key, value in vars(record).items() if key not in usual}
            lines.append(json.dumps(extra))

    logger = logging.Logger("lines")  # noqa: LOG001  # of this example only
    logger.addHandler(Lines())
    await LoggingEventHandler(logger)(fact, EventContext(metadata=METADATA))
    (line,) = lines
    assert json.loads(line)["event_id"] == str(fact.event_id)


async def test_a_level_that_nobody_listens_to_costs_no_redaction(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger.setLevel(logging.INFO)
    monkeypatch.setattr("dashtam_events.adapters.logging.redact", None)
    await LoggingEventHandler(logger)(marked(FileImportProgress), NOTHING_KNOWN)


async def test_a_logger_of_structlog_takes_the_fields_as_keywords() -> None:
    fact = marked(UserRegistrationSucceeded)
    with structlog.testing.capture_logs() as lines:
        handler = LoggingEventHandler(structlog.get_logger())
        await handler(fact, EventContext(metadata=METADATA))
        await handler(AwkwardlyNamed(), NOTHING_KNOWN)
    line, awkward = lines
    assert (line["event"], line["log_level"]) == ("user_registration_succeeded", "info")
    assert (line["user_id"], line["email"]) == (str(fact.user_id), "***")
    assert line["correlation_id"] == "request-7"
    assert "verification_token" not in line
    assert (awkward["event"], awkward["event_"]) == ("awkwardly_named", "f")


@event
class NamedAsProcessorsDo(DomainEvent):
    """Its fields have the names that structlog's processors write to, or take away."""

    positional_args: tuple[str, ...] = ("own",)
    func_name: str = "own"
    level_number: str = "own"
    logger_name: str = "own"
    process_name: str = "own"
    qual_name: str = "own"
    stacklevel: str = "own"
    thread_name: str = "own"


async def test_the_processors_of_structlog_leave_the_fields_of_the_event_alone(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_log_level_number,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.CallsiteParameterAdder(),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    bound = structlog.wrap_logger(
        logger, processors=processors, wrapper_class=structlog.stdlib.BoundLogger
    ).bind(service="shop")
    fact = NamedAsProcessorsDo()
    with structlog.contextvars.bound_contextvars(peer="192.0.2.1", event_type="the request's"):
        await LoggingEventHandler(bound)(fact, NOTHING_KNOWN)
    line = json.loads(caplog.messages[0])
    assert (line["event"], line["logger"]) == ("named_as_processors_do", logger.name)
    assert (line["service"], line["peer"]) == ("shop", "192.0.2.1")
    assert line["event_type"] == "NamedAsProcessorsDo"
    assert line.pop("positional_args_") == ["own"]
    own = [name for name, value in line.items() if value == "own"]
    assert len(own) == 7
    assert all(name.endswith("_") for name in own)


async def test_what_a_request_binds_in_structlog_fills_in_for_what_is_not_known() -> None:
    out = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )
    with structlog.contextvars.bound_contextvars(correlation_id="of the request"):
        for context in (EventContext(metadata=METADATA), NOTHING_KNOWN):
            await LoggingEventHandler(logger)(marked(FileImportProgress), context)
    told = [json.loads(line)["correlation_id"] for line in out.getvalue().splitlines()]
    assert told == ["request-7", "of the request"]


@pytest.mark.parametrize("level", LogLevel)
async def test_structlog_writes_json_at_each_level(level: LogLevel) -> None:
    @event(name=f"Said{level}", log_level=level)
    class SomethingSaid(DomainEvent):
        """Something was said."""

        said_by: UUID

    out = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )
    who = uuid4()
    await LoggingEventHandler(logger)(SomethingSaid(said_by=who), NOTHING_KNOWN)
    line = json.loads(out.getvalue())
    assert (line["level"], line["said_by"]) == (level, str(who))


def test_a_logger_adapter_is_refused_because_it_throws_fields_away() -> None:
    adapter = logging.LoggerAdapter(logging.getLogger("x"), {"a": 1})
    with pytest.raises(TypeError, match=r"pass its \.logger"):
        LoggingEventHandler(adapter)  # type: ignore[arg-type]  # the mistake under test


def formatted(**extra: Any) -> str:
    record = logging.makeLogRecord({"msg": "session_created", "levelname": "INFO", **extra})
    return KeyValueFormatter("%(levelname)s %(message)s").format(record)


def test_a_line_for_people_ends_with_its_fields() -> None:
    line = formatted(user_id="7f-1", level=3, file="my file", ok=True, none=None, many=[1, "a"])
    assert line == (
        'INFO session_created user_id=7f-1 level=3 file="my file" ok=true none=null many=[1, "a"]'
    )


@given(text=st.text())
def test_no_value_begins_a_line_of_its_own_or_another_field(text: str) -> None:
    line = formatted(first=text, second=1)
    assert line.isascii()
    assert line.splitlines() == [line]
    assert line.endswith(" second=1")
    shown = line.removeprefix("INFO session_created first=").removesuffix(" second=1")
    assert shown == text or json.loads(shown) == text


def test_a_traceback_follows_below_the_fields() -> None:
    error = ValueError("no")
    line = formatted(a=1, exc_info=(type(error), error, None))
    first, *rest = line.splitlines()
    assert first == "INFO session_created a=1"
    assert rest == ["ValueError: no"]


async def test_it_works_on_the_bus(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bus = InMemoryEventBus()
    bus.subscribe(CATALOGUE, LoggingEventHandler())
    await bus.publish(marked(SessionCreatedEvent), metadata={"correlation_id": "c"})
    assert [(r.message, vars(r)["correlation_id"]) for r in caplog.records] == [
        ("session_created", "c")
    ]
