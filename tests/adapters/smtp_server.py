"""A real SMTP server in the event loop of the test, which can be told to misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import attrs
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from dashtam_events.adapters.email import SMTPEmailSender

AUTHORITY = trustme.CA()
USER, PASSWORD = "mailer", "canary-secret-password"


@attrs.define
class Mailbox:
    """What the server does with mail: replies in turn, then takes it."""

    replies: list[str] = attrs.Factory(list)
    refusal: str | None = None
    hangs: bool = False
    port: int = 0
    connections: int = 0
    open: "set[Connection]" = attrs.Factory(set)
    hanging: asyncio.Event = attrs.Factory(asyncio.Event)
    received: list[EmailMessage] = attrs.Factory(list)
    envelopes: list[Envelope] = attrs.Factory(list)
    encrypted: list[bool] = attrs.Factory(list)

    async def handle_RCPT(  # noqa: N802  # aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refusal is not None:
            return f"{self.refusal} <{address}> not here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.hangs:
            self.hanging.set()
            await asyncio.Event().wait()
        if self.replies:
            return self.replies.pop(0)
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 OK"


class Connection(SMTP):
    """One client's connection, entered in the mailbox while it is open."""

    mailbox: Mailbox
    carrier: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        # STARTTLS makes the connection a second time, on top of the first.
        self.carrier = self.carrier or transport
        self.mailbox.open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.mailbox.open.discard(self)

    def hang_up(self) -> None:
        if self.carrier is not None and not self.carrier.is_closing():
            self.carrier.abort()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()


async def deserted(mailbox: Mailbox) -> None:
    """Return when no connection is open and the server is done with the last of them."""
    while mailbox.open or len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  # nothing tells when
        await asyncio.sleep(0.005)


def _knows(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    assert isinstance(data, LoginPassword)
    good = data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@asynccontextmanager
async def serving(
    mailbox: Mailbox, *, starttls: bool = False, tls: bool = False, login: bool = False
) -> AsyncIterator[Mailbox]:
    """Serve a mailbox on a port of localhost."""
    loop = asyncio.get_running_loop()
    context = server_context() if starttls or tls else None

    def protocol() -> SMTP:
        mailbox.connections += 1
        connection = Connection(
            mailbox,
            hostname="localhost",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            auth_required=login,
            auth_require_tls=not tls,
            authenticator=_knows if login else None,
            loop=loop,
        )
        connection.mailbox = mailbox
        return connection

    server = await loop.create_server(protocol, "localhost", 0, ssl=context if tls else None)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        # A connection whose STARTTLS failed never hears of its end, and is told here.
        for connection in mailbox.open:
            connection.hang_up()
        mailbox.open.clear()
        async with asyncio.timeout(30):
            await deserted(mailbox)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def stranger(talk: Talk) -> AsyncIterator[int]:
    """A server that talks as it likes, on the port given; leaving waits for its last word."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(hold, "localhost", 0) as server:
        yield server.sockets[0].getsockname()[1]
        async with asyncio.timeout(30):
            await deserted(Mailbox())


def sender_to(mailbox: Mailbox, **options: Any) -> SMTPEmailSender:
    """A sender to a server without encryption, unless the options say otherwise."""
    given: dict[str, Any] = {"encryption": "none", "timeout": 30.0}
    return SMTPEmailSender("localhost", mailbox.port, **given | options)
