"""No private value of any event turns up where it has no business, whatever goes wrong."""

import io
import json
import logging
import traceback
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import structlog

from dashtam_events import DomainEvent
from dashtam_events.adapters.email import EmailEventHandler, EmailTemplates
from dashtam_events.adapters.logging import KeyValueFormatter, LoggingEventHandler
from dashtam_events.adapters.sessions import SessionEndingHandler
from dashtam_events.bus.memory import InMemoryEventBus
from dashtam_events.bus.protocol import EventContext
from dashtam_events.catalogue import (
    CATALOGUE,
    EmailVerificationSucceeded,
    PasswordResetRequestSucceeded,
    UserRegistrationSucceeded,
)
from dashtam_events.errors import EmailError
from tests.adapters.marked import ADDRESS, METADATA, PERSONAL, SECRET, marked
from tests.adapters.smtp_server import (
    PASSWORD,
    USER,
    Mailbox,
    client_context,
    sender_to,
    serving,
)

CONTEXT = EventContext(metadata=METADATA)
EVERY_EVENT = pytest.mark.parametrize("cls", CATALOGUE, ids=lambda cls: cls.__name__)
WITH_TOKEN = (UserRegistrationSucceeded, PasswordResetRequestSucceeded)


class Everything(logging.Handler):
    """Writes all that a log record holds, in every way that a formatter might."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.written = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "mail.log":  # the server's
            return
        self.written += KeyValueFormatter("%(message)s").format(record)
        self.written += json.dumps(vars(record), default=repr)
        if record.exc_info is not None and record.exc_info[1] is not None:
            self.written += all_of(record.exc_info[1])


@pytest.fixture
def log() -> Iterator[Everything]:
    root, everything = logging.getLogger(), Everything()
    level = root.level
    root.addHandler(everything)
    root.setLevel(logging.DEBUG)
    yield everything
    root.removeHandler(everything)
    root.setLevel(level)


def all_of(error: BaseException) -> str:
    """An exception as the most talkative of error reporters would show it.

    With the locals of every frame of the library, and with what came before.
    """
    told = [repr(error), str(error), repr(vars(error))]
    seen: BaseException | None = error
    while seen is not None:
        told += traceback.TracebackException.from_exception(seen, capture_locals=True).format()
        seen = seen.__cause__ or seen.__context__
    return "".join(told)


def assert_clean(text: str) -> None:
    assert SECRET not in text
    assert PERSONAL not in text


def emailer(sender: Any, **options: Any) -> EmailEventHandler:
    async def recipient_of(_subject: Any) -> str:
        return ADDRESS

    given: dict[str, Any] = {
        "templates": EmailTemplates(base_url="https://app.example.com", service_name="Dashtam"),
        "from_address": "no-reply@example.com",
        "recipient_of": recipient_of,
        "delay": 0.001,
    }
    return EmailEventHandler(sender, **given | options)


@EVERY_EVENT
async def test_the_log_holds_no_private_value(cls: type[DomainEvent], log: Everything) -> None:
    await LoggingEventHandler()(marked(cls), CONTEXT)
    assert log.written
    assert_clean(log.written)


@EVERY_EVENT
async def test_structlog_holds_no_private_value(cls: type[DomainEvent]) -> None:
    out = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(out), processors=[structlog.processors.JSONRenderer()]
    )
    await LoggingEventHandler(logger)(marked(cls), CONTEXT)
    assert out.getvalue()
    assert_clean(out.getvalue())


@pytest.mark.parametrize("cls", CATALOGUE.emailed(), ids=lambda cls: cls.__name__)
async def test_a_secret_is_in_the_mail_that_carries_it_and_nowhere_else(
    cls: type[DomainEvent], log: Everything
) -> None:
    async with serving(Mailbox()) as mailbox:
        await emailer(sender_to(mailbox))(marked(cls), CONTEXT)
    (message,) = mailbox.received
    (body, *others) = (part.get_content() for part in message.walk() if not part.is_multipart())
    assert all((SECRET in part) == (cls in WITH_TOKEN) for part in (body, *others))
    assert SECRET not in str(message.items())
    assert_clean(log.written)


class Talkative(Exception):
    """A stranger's exception that tells everything."""


class Failing:
    """A sender of the worst kind."""

    def __init__(self, kind: type[Exception]) -> None:
        self.kind = kind

    async def send(self, message: EmailMessage) -> None:
        content = message.as_string()
        raise self.kind(content) from LookupError(content)


async def outcome(handler: EmailEventHandler, cls: type[DomainEvent]) -> str:
    with pytest.raises(EmailError) as caught:
        await handler(marked(cls), CONTEXT)
    # The first frame is the one of this test, which holds whatever it likes.
    caught.value.__traceback__ = caught.tb.tb_next
    return all_of(caught.value)


@pytest.mark.parametrize("kind", [Talkative, TimeoutError, ConnectionError, ValueError])
@pytest.mark.parametrize("cls", CATALOGUE.emailed(), ids=lambda cls: cls.__name__)
async def test_a_sender_that_raises_tells_nothing(
    cls: type[DomainEvent], kind: type[Exception], log: Everything
) -> None:
    told = await outcome(emailer(Failing(kind), attempts=2), cls)
    assert kind.__name__ in told
    assert "email_not_sent" in log.written
    assert_clean(told + log.written)


@pytest.mark.parametrize(
    "broken",
    [
        "{% set subject = 'x' %}{{ event.nothing }}",
        "{% set subject = 'x' %}{{ {}[event] }}",
        "{% set subject = 'x' %}{{ {}[event.email] }}",
        "{% set subject = 'x' %}{{ event.email.encode('utf-8').decode('utf-16-be') | int(1/0) }}",
        "{% include event.email %}",
        "{{ url(event.email, token=None) }}",
        "{{ event.email",
    ],
)
@pytest.mark.parametrize("cls", [*WITH_TOKEN, EmailVerificationSucceeded])
async def test_a_broken_template_tells_nothing(
    cls: type[DomainEvent], broken: str, log: Everything, tmp_path: Path
) -> None:
    for shipped in ("user_registration", "password_reset_request", "email_verification"):
        (tmp_path / f"{shipped}_succeeded.txt.jinja").write_text(broken)
    templates = EmailTemplates(
        base_url="https://app.example.com", service_name="Dashtam", directory=tmp_path
    )
    told = await outcome(emailer(Failing(Talkative), templates=templates), cls)
    assert "email_not_sent" in log.written
    assert_clean(told + log.written)


@pytest.mark.parametrize(
    "mailbox",
    [
        Mailbox(refusal="550"),
        Mailbox(refusal="450"),
        Mailbox(replies=["554 no", "554 no"]),
        Mailbox(hangs=True),
    ],
    ids=["refused", "later", "spam", "hangs"],
)
@pytest.mark.parametrize("cls", WITH_TOKEN)
async def test_a_server_that_fails_tells_nothing(
    cls: type[DomainEvent], mailbox: Mailbox, log: Everything
) -> None:
    async with serving(mailbox):
        told = await outcome(emailer(sender_to(mailbox, timeout=0.2), attempts=2), cls)
    assert "email_not_sent" in log.written
    assert_clean(told + log.written)


async def test_a_login_that_fails_tells_nothing(log: Everything) -> None:
    async with serving(Mailbox(), starttls=True, login=True) as mailbox:
        sender = sender_to(
            mailbox,
            encryption="starttls",
            username=f"{USER}-{PERSONAL}",
            password=PASSWORD,
            tls_context=client_context(),
        )
        told = await outcome(emailer(sender), UserRegistrationSucceeded)
    assert_clean(told + log.written)


@EVERY_EVENT
async def test_the_bus_tells_nothing_of_any_adapter_that_fails(
    cls: type[DomainEvent], log: Everything
) -> None:
    class Broken:
        async def end_sessions(self, subject: Any, *, session_id: Any, reason: str) -> None:
            raise Talkative(ADDRESS)

    bus = InMemoryEventBus()
    for handler in (
        LoggingEventHandler(),
        emailer(Failing(Talkative)),
        SessionEndingHandler(Broken()),
    ):
        bus.subscribe(CATALOGUE, handler)
    await bus.publish(marked(cls), metadata=METADATA)
    spec = CATALOGUE.spec_of(cls)
    failures = log.written.count('"msg": "event_handler_failed"')
    assert failures == (spec.email is not None) + spec.ends_sessions
    assert_clean(log.written)
