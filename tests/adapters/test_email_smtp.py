"""Mail over SMTP, against a real server."""

import asyncio
import pickle
import socket
import ssl
import time
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from dashtam_events.adapters.email import SMTPEmailSender
from dashtam_events.errors import EmailDeferred, EmailDeliveryError
from tests.adapters.smtp_server import (
    PASSWORD,
    USER,
    Mailbox,
    client_context,
    deserted,
    sender_to,
    serving,
    stranger,
)


def a_mail(to: str = "jane@example.com") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "app@example.com", to, "Hello"
    message.set_content("Hello\n")
    return message


async def test_a_mail_arrives() -> None:
    async with serving(Mailbox()) as mailbox:
        await sender_to(mailbox).send(a_mail())
    assert [each["Subject"] for each in mailbox.received] == ["Hello"]
    assert mailbox.envelopes[0].rcpt_tos == ["jane@example.com"]
    assert mailbox.encrypted == [False]


async def test_starttls_and_a_login_carry_a_mail() -> None:
    async with serving(Mailbox(), starttls=True, login=True) as mailbox:
        sender = sender_to(
            mailbox,
            encryption="starttls",
            username=USER,
            password=PASSWORD,
            tls_context=client_context(),
        )
        await sender.send(a_mail())
    assert mailbox.encrypted == [True]


async def test_tls_from_the_first_byte_carries_a_mail() -> None:
    async with serving(Mailbox(), tls=True) as mailbox:
        await sender_to(mailbox, encryption="tls", tls_context=client_context()).send(a_mail())
    assert len(mailbox.received) == 1


async def refused(sender: SMTPEmailSender) -> EmailDeliveryError:
    with pytest.raises(EmailDeliveryError) as caught:
        await sender.send(a_mail())
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


async def test_a_server_without_starttls_gets_no_mail() -> None:
    async with serving(Mailbox()) as mailbox:
        failure = await refused(sender_to(mailbox, encryption="starttls"))
    assert type(failure) is EmailDeliveryError
    assert mailbox.received == []


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_is_refused_for_good(encryption: str) -> None:
    async with serving(Mailbox(), **{encryption: True}) as mailbox:
        untrusting = ssl.create_default_context()
        failure = await refused(sender_to(mailbox, encryption=encryption, tls_context=untrusting))
    assert type(failure) is EmailDeliveryError
    assert "trusted" in failure.reason


async def test_a_wrong_password_is_refused_for_good_and_not_told() -> None:
    async with serving(Mailbox(), starttls=True, login=True) as mailbox:
        sender = sender_to(
            mailbox,
            encryption="starttls",
            username=USER,
            password="canary-wrong",
            tls_context=client_context(),
        )
        failure = await refused(sender)
    assert (type(failure), failure.code) == (EmailDeliveryError, 535)
    assert "canary" not in repr(failure) + str(failure)


async def test_a_reply_of_the_four_hundreds_is_deferred() -> None:
    async with serving(Mailbox(replies=["451 4.7.1 later"])) as mailbox:
        failure = await refused(sender_to(mailbox))
    assert (type(failure), failure.code) == (EmailDeferred, 451)


async def test_a_reply_of_the_five_hundreds_is_final() -> None:
    async with serving(Mailbox(replies=["554 5.7.1 spam"])) as mailbox:
        failure = await refused(sender_to(mailbox))
    assert (type(failure), failure.code) == (EmailDeliveryError, 554)


@pytest.mark.parametrize(("reply", "kind"), [("550", EmailDeliveryError), ("450", EmailDeferred)])
async def test_a_refused_recipient_is_told_by_code_and_not_by_address(
    reply: str, kind: type[EmailDeliveryError]
) -> None:
    async with serving(Mailbox(refusal=reply)) as mailbox:
        failure = await refused(sender_to(mailbox))
    assert (type(failure), failure.code) == (kind, int(reply))
    assert "jane" not in repr(failure) + str(failure)


async def test_a_server_that_hangs_is_left_after_the_timeout() -> None:
    async with serving(Mailbox(hangs=True)) as mailbox:
        began = time.monotonic()
        failure = await refused(sender_to(mailbox, timeout=0.3))
    assert type(failure) is EmailDeferred
    assert time.monotonic() - began < 20


async def test_a_server_that_is_slow_at_every_step_is_left_after_the_timeout() -> None:
    answered = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        writer.write(b"220 localhost\r\n")
        while await reader.readline():
            await asyncio.sleep(0.4)
            writer.write(b"250 OK\r\n")
            answered += 1

    async with stranger(slow) as port:
        began = time.monotonic()
        failure = await refused(SMTPEmailSender("localhost", port, encryption="none", timeout=0.6))
        took = time.monotonic() - began
    assert type(failure) is EmailDeferred
    assert took > 0.5
    assert answered <= 2


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        yield probe.getsockname()[1]


async def test_a_server_that_is_away_is_deferred(closed_port: int) -> None:
    failure = await refused(SMTPEmailSender("localhost", closed_port, encryption="none"))
    assert type(failure) is EmailDeferred


async def test_a_server_that_hangs_up_is_deferred() -> None:
    async def hang_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return

    async with stranger(hang_up) as port:
        failure = await refused(SMTPEmailSender("localhost", port, encryption="none"))
    assert type(failure) is EmailDeferred


async def test_a_mail_that_was_taken_is_sent_whatever_happens_at_the_parting() -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 localhost\r\n")
        while not (line := await reader.readline()).startswith(b"QUIT"):
            if line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 OK\r\n")
        writer.transport.abort()

    async with stranger(rude) as port:
        await SMTPEmailSender("localhost", port, encryption="none").send(a_mail())


async def test_cancelling_a_mail_leaves_no_connection() -> None:
    async with serving(Mailbox(hangs=True)) as mailbox:
        task = asyncio.create_task(sender_to(mailbox).send(a_mail()))
        await mailbox.hanging.wait()
        assert len(mailbox.open) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(30):
            await deserted(mailbox)


def test_a_password_never_travels_in_the_clear() -> None:
    with pytest.raises(ValueError, match="in the clear"):
        SMTPEmailSender("localhost", username=USER, password=PASSWORD, encryption="none")


def test_a_password_needs_its_user() -> None:
    with pytest.raises(ValueError, match="together"):
        SMTPEmailSender("localhost", password=PASSWORD)


def test_the_repr_tells_neither_user_nor_password() -> None:
    sender = SMTPEmailSender("mail.example.com", username=USER, password=PASSWORD)
    assert repr(sender) == "SMTPEmailSender('mail.example.com:587', encryption='starttls')"


@pytest.mark.parametrize("kind", [EmailDeliveryError, EmailDeferred])
def test_its_errors_pickle(kind: type[EmailDeliveryError]) -> None:
    error = pickle.loads(pickle.dumps(kind("mail:587", "the server refused", 451)))
    assert (type(error), error.server, error.code) == (kind, "mail:587", 451)
    assert str(error) == "mail:587: the server refused (reply 451)"
