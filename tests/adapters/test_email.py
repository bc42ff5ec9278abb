"""The mail that an event asks for: to whom, how often, and when not."""

import asyncio
import logging
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid4

import pytest

from dashtam_events import DomainEvent, event
from dashtam_events.adapters.email import EmailEventHandler, EmailTemplates
from dashtam_events.bus.memory import InMemoryEventBus
from dashtam_events.bus.protocol import EventContext
from dashtam_events.catalogue import (
    CATALOGUE,
    EmailVerificationSucceeded,
    ProviderConnectionSucceeded,
    ProviderTokenRefreshFailed,
    UserLoginSucceeded,
    UserPasswordChangeSucceeded,
)
from dashtam_events.declaration import Email
from dashtam_events.errors import EmailDeferred, EmailDeliveryError
from tests.adapters.marked import ADDRESS, marked
from tests.adapters.smtp_server import Mailbox, sender_to, serving

TEMPLATES = EmailTemplates(base_url="https://app.example.com", service_name="Dashtam")
CONTEXT = EventContext()


class Outbox:
    """A sender that keeps what it is given, after raising what it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.sent: list[EmailMessage] = []
        self.tries = 0

    async def send(self, message: EmailMessage) -> None:
        self.tries += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(message)


def handler(sender: Any, **options: Any) -> EmailEventHandler:
    given: dict[str, Any] = {
        "templates": TEMPLATES,
        "from_address": "Dashtam <no-reply@example.com>",
        "delay": 0.001,
    }
    return EmailEventHandler(sender, **given | options)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with serving(Mailbox()) as box:
        yield box


@pytest.mark.parametrize("cls", CATALOGUE.emailed(), ids=lambda cls: cls.__name__)
async def test_every_event_that_asks_for_it_is_mailed(
    cls: type[DomainEvent], mailbox: Mailbox
) -> None:
    async def recipient_of(_subject: UUID) -> str:
        return ADDRESS

    fact = marked(cls)
    await handler(sender_to(mailbox), recipient_of=recipient_of)(fact, CONTEXT)
    (message,) = mailbox.received
    assert mailbox.envelopes[0].rcpt_tos == [ADDRESS]
    assert message["To"] == ADDRESS
    assert message["From"] == "Dashtam <no-reply@example.com>"
    assert message["Message-ID"] == f"<{fact.event_id}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime is not None
    assert message["Subject"]
    assert message.get_content_type() == "multipart/alternative"


async def test_events_that_do_not_ask_for_mail_are_passed_over() -> None:
    outbox = Outbox()
    await handler(outbox)(marked(UserLoginSucceeded), CONTEXT)
    assert outbox.tries == 0


@pytest.mark.parametrize("needed", [True, False])
async def test_a_mail_with_a_condition_goes_out_only_where_it_holds(needed: bool) -> None:
    async def recipient_of(_subject: UUID) -> str:
        return ADDRESS

    outbox = Outbox()
    fact = marked(ProviderTokenRefreshFailed, needs_user_action=needed)
    await handler(outbox, recipient_of=recipient_of)(fact, CONTEXT)
    assert len(outbox.sent) == needed


async def test_the_lookup_is_asked_for_the_subject_only_where_the_event_has_no_address() -> None:
    asked = []

    async def recipient_of(subject: UUID) -> str:
        asked.append(subject)
        return "found@example.com"

    outbox = Outbox()
    mailing = handler(outbox, recipient_of=recipient_of)
    await mailing(marked(EmailVerificationSucceeded), CONTEXT)
    changed = marked(UserPasswordChangeSucceeded)
    await mailing(changed, CONTEXT)
    assert asked == [changed.user_id]
    assert [message["To"] for message in outbox.sent] == [ADDRESS, "found@example.com"]


UNUSABLE = [
    "a@example.com\r\nBcc: evil@example.com",
    "a@example.com, evil@example.com",
    "a@example.com\nSubject: x",
    '"a\r\nBcc: evil"@example.com',
    "undisclosed-recipients:;",
    "a@example.com\0",
    "a@example.com\u2028x",
    "a\u202emoc.elpmaxe@b",
    "nobody",
    "a@",
    "",
    "a b@example.com",
]


@pytest.mark.parametrize("address", UNUSABLE)
async def test_what_is_not_one_address_gets_no_mail(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox()
    await handler(outbox)(marked(EmailVerificationSucceeded, email=address), CONTEXT)
    assert outbox.tries == 0
    assert [record.message for record in caplog.records] == ["email_recipient_unknown"]


async def test_an_event_whose_subject_has_no_address_is_logged_and_not_mailed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def recipient_of(_subject: UUID) -> None:
        return None

    outbox = Outbox()
    fact = marked(ProviderConnectionSucceeded)
    await handler(outbox)(fact, CONTEXT)
    await handler(outbox, recipient_of=recipient_of)(fact, CONTEXT)
    assert outbox.tries == 0
    assert [record.message for record in caplog.records] == ["email_recipient_unknown"] * 2
    assert vars(caplog.records[0])["event_id"] == str(fact.event_id)


def test_the_senders_address_is_checked_when_the_handler_is_made() -> None:
    with pytest.raises(ValueError, match="one address"):
        handler(Outbox(), from_address="a@example.com\nBcc: b@example.com")


def test_at_least_one_attempt_is_made() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        handler(Outbox(), attempts=0)


async def test_a_lookup_that_fails_is_not_hidden_and_can_be_tried_again() -> None:
    async def recipient_of(_subject: UUID) -> str:
        if not failures:
            return ADDRESS
        raise failures.pop()

    failures: list[Exception] = [ConnectionError("database away")]
    outbox = Outbox()
    mailing, fact = handler(outbox, recipient_of=recipient_of), marked(ProviderConnectionSucceeded)
    with pytest.raises(ConnectionError):
        await mailing(fact, CONTEXT)
    await mailing(fact, CONTEXT)
    assert len(outbox.sent) == 1


async def test_a_server_that_fails_twice_gets_the_mail_the_third_time(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.replies = ["451 4.7.1 later", "451 4.7.1 later"]
    await handler(sender_to(mailbox))(marked(EmailVerificationSucceeded), CONTEXT)
    assert len(mailbox.received) == 1
    assert mailbox.connections == 3
    said = [(each.message, each.levelname, vars(each)["code"]) for each in caplog.records]
    assert said == [("email_not_sent", "WARNING", 451)] * 2


async def test_a_refused_mail_is_not_tried_again(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.refusal = "550"
    with pytest.raises(EmailDeliveryError) as caught:
        await handler(sender_to(mailbox))(marked(EmailVerificationSucceeded), CONTEXT)
    assert caught.value.code == 550
    assert mailbox.connections == 1
    assert [each.levelname for each in caplog.records] == ["ERROR"]


async def test_the_tries_come_to_an_end() -> None:
    outbox = Outbox(*(EmailDeferred("mail", "busy", 421) for _ in range(9)))
    with pytest.raises(EmailDeferred) as caught:
        await handler(outbox, attempts=3)(marked(EmailVerificationSucceeded), CONTEXT)
    assert (outbox.tries, caught.value.code) == (3, 421)


@pytest.mark.parametrize("lost", [TimeoutError("x"), ConnectionResetError("x")])
async def test_a_lost_connection_of_anybodys_sender_is_tried_again(lost: Exception) -> None:
    outbox = Outbox(lost)
    await handler(outbox)(marked(EmailVerificationSucceeded), CONTEXT)
    assert (outbox.tries, len(outbox.sent)) == (2, 1)


async def test_any_other_exception_of_a_sender_is_final() -> None:
    outbox = Outbox(LookupError("jane@example.com"))
    with pytest.raises(EmailDeliveryError, match="Outbox: raised LookupError"):
        await handler(outbox)(marked(EmailVerificationSucceeded), CONTEXT)
    assert outbox.tries == 1


async def test_the_pauses_double_and_are_cut_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("dashtam_events.adapters.email.handler.asyncio.sleep", sleep)
    outbox = Outbox(*(TimeoutError() for _ in range(99)))
    with pytest.raises(EmailDeferred):
        await handler(outbox, attempts=9, delay=1.0)(marked(EmailVerificationSucceeded), CONTEXT)
    longest = [1, 2, 4, 8, 16, 30, 30, 30]
    pauses = [pause for pause in pauses if pause > 0]
    assert len(pauses) == len(longest)
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert len({pause / most for pause, most in zip(pauses, longest, strict=True)}) > 1


async def test_an_event_is_mailed_once_however_often_it_is_heard_of() -> None:
    outbox = Outbox()
    mailing, fact = handler(outbox), marked(EmailVerificationSucceeded)
    await asyncio.gather(*(mailing(fact, CONTEXT) for _ in range(20)))
    await mailing(fact, CONTEXT)
    assert len(outbox.sent) == 1


async def test_a_second_call_sends_where_the_first_failed() -> None:
    outbox = Outbox(EmailDeliveryError("mail", "no", 550))
    mailing, fact = handler(outbox), marked(EmailVerificationSucceeded)
    outcomes = await asyncio.gather(
        mailing(fact, CONTEXT), mailing(fact, CONTEXT), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [EmailDeliveryError, type(None)]
    assert len(outbox.sent) == 1


async def test_a_second_call_sends_where_the_first_was_cancelled() -> None:
    outbox = Outbox()
    mailing, fact = handler(outbox), marked(EmailVerificationSucceeded)
    first = asyncio.create_task(mailing(fact, CONTEXT))
    second = asyncio.create_task(mailing(fact, CONTEXT))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()
    assert len(outbox.sent) == 1


async def test_different_events_do_not_wait_for_each_other() -> None:
    both = asyncio.Barrier(2)

    class Meeting:
        async def send(self, message: EmailMessage) -> None:
            await both.wait()

    mailing = handler(Meeting())
    async with asyncio.timeout(30):
        await asyncio.gather(
            mailing(marked(EmailVerificationSucceeded), CONTEXT),
            mailing(marked(EmailVerificationSucceeded), CONTEXT),
        )


async def test_the_memory_of_what_was_sent_is_bounded() -> None:
    outbox = Outbox()
    mailing = handler(outbox, remember=3)
    facts = [marked(EmailVerificationSucceeded) for _ in range(5)]
    for fact in facts:
        await mailing(fact, CONTEXT)
    await mailing(facts[-1], CONTEXT)
    assert len(outbox.sent) == 5
    await mailing(facts[0], CONTEXT)
    assert len(outbox.sent) == 6
    assert len(mailing._sent) == 3
    assert not mailing._under_way


async def test_it_works_on_the_bus_and_harms_no_publisher(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    bus = InMemoryEventBus()
    bus.subscribe(CATALOGUE.emailed(), handler(sender_to(mailbox)))
    await bus.publish(marked(EmailVerificationSucceeded))
    mailbox.refusal = "550"
    await bus.publish(marked(EmailVerificationSucceeded))
    assert len(mailbox.received) == 1
    assert [r.message for r in caplog.records] == ["email_not_sent", "event_handler_failed"]


@event(email=Email(), subject="member")
class StatementReady(DomainEvent):
    """A statement can be read."""

    member: str


async def test_an_event_of_ones_own_is_mailed_from_a_template_of_ones_own(tmp_path: Any) -> None:
    async def recipient_of(member: str) -> str:
        return f"{member}@example.org"

    (tmp_path / "statement_ready.txt.jinja").write_text(
        "{% set subject %}Ready{% endset %}See {{ url('statements', event.member) }}"
    )
    (tmp_path / "statement_ready.html.jinja").write_text("<p>{{ event.member }}</p>")
    templates = EmailTemplates(base_url="https://x.example", service_name="X", directory=tmp_path)
    outbox = Outbox()
    mailing = handler(outbox, templates=templates, recipient_of=recipient_of)
    await mailing(StatementReady(member="ann"), CONTEXT)
    assert outbox.sent[0]["To"] == "ann@example.org"
    body = outbox.sent[0].get_body(("plain",))
    assert body is not None
    assert body.get_content() == "See https://x.example/statements/ann\n"


async def test_log_lines_name_the_event(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    fact = marked(EmailVerificationSucceeded, event_id=uuid4())
    await handler(Outbox(TimeoutError()))(fact, CONTEXT)
    told = vars(caplog.records[0])
    assert told["event_type"] == "EmailVerificationSucceeded"
    assert told["event_id"] == str(fact.event_id)
    assert (told["attempt"], told["final"], told["error_type"]) == (1, False, "EmailDeferred")
