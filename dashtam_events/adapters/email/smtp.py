"""Mail over SMTP: the only module that knows aiosmtplib."""

import asyncio
import ssl
from contextlib import suppress
from email.message import EmailMessage
from typing import Literal

from dashtam_events.errors import EmailDeferred, EmailDeliveryError, MissingExtra

try:
    import aiosmtplib
except ModuleNotFoundError as _absent:
    raise MissingExtra("email") from _absent

__all__ = ["SMTPEmailSender"]

_PARTING = 2.0  # seconds for QUIT, when the mail is safe already


class SMTPEmailSender:
    """Sends each mail over a connection of its own.

    Encryption is asked for, not hoped for: with `starttls` a server that does not offer it gets
    no mail and no password. Certificates are verified. What the server says is not repeated in
    errors beyond its reply code, because servers quote addresses. The repr tells neither user
    nor password.

    Args:
        host: the server, as its certificate names it.
        port: by convention 587 with `starttls`, 465 with `tls`.
        username: for servers that ask for one; together with `password`.
        encryption: `starttls` or `tls` (from the first byte); `none` for a relay on the same
            machine, which then must not ask for a password.
        tls_context: for a certificate authority of one's own; by default that of the system.
        timeout: seconds for one mail, from the connection to the server's word that it has it.

    Raises:
        ValueError: a password would travel in the clear, or comes without its user.
    """

    def __init__(
        self,
        host: str,
        port: int = 587,
        *,
        username: str | None = None,
        password: str | None = None,
        encryption: Literal["starttls", "tls", "none"] = "starttls",
        tls_context: ssl.SSLContext | None = None,
        timeout: float = 30.0,
    ) -> None:
        if (username is None) != (password is None):
            raise ValueError("username and password come together or not at all")
        if password is not None and encryption == "none":
            raise ValueError("the password would travel in the clear: use starttls or tls")
        self._host, self._port = host, port
        self._username, self._password = username, password
        self._encryption, self._tls_context = encryption, tls_context
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._server!r}, encryption={self._encryption!r})"

    @property
    def _server(self) -> str:
        return f"{self._host}:{self._port}"

    async def send(self, message: EmailMessage) -> None:
        """Hand over one mail with one recipient; returns when the server has it.

        Raises:
            EmailDeferred: the server is away or too slow, or replied with a code below 500.
            EmailDeliveryError: it refused the mail, the login or the encryption.
        """
        failure = await self._try(message)
        if failure is not None:
            # Raised here, where no frame below and no exception before it holds an address.
            raise failure

    async def _try(self, message: EmailMessage) -> EmailDeliveryError | None:
        smtp = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._username,
            password=self._password,
            use_tls=self._encryption == "tls",
            start_tls=self._encryption == "starttls",
            tls_context=self._tls_context,
            timeout=self._timeout,
        )
        try:
            async with asyncio.timeout(self._timeout):
                await smtp.connect()
                await smtp.send_message(message)
            await _leave(smtp)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return self._failure(error)
        finally:
            smtp.close()
        return None

    def _failure(self, error: Exception) -> EmailDeliveryError:
        code = _reply_code(error)
        if code is not None:
            kind = EmailDeferred if 400 <= code < 500 else EmailDeliveryError
            return kind(self._server, "the server refused", code)
        if isinstance(error.__cause__ or error, ssl.SSLCertVerificationError):
            return EmailDeliveryError(self._server, "no trusted encryption with this server")
        if isinstance(error, TimeoutError):
            return EmailDeferred(self._server, f"no answer within {self._timeout:g} s")
        if isinstance(error, OSError):
            return EmailDeferred(self._server, "no connection")
        return EmailDeliveryError(self._server, f"not possible here ({type(error).__name__})")


def _reply_code(error: Exception) -> int | None:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return error.recipients[0].code
    return error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None


async def _leave(smtp: aiosmtplib.SMTP) -> None:
    """Say goodbye; the mail has been taken, so nothing that goes wrong here matters."""
    with suppress(aiosmtplib.SMTPException, OSError):
        async with asyncio.timeout(_PARTING):
            await smtp.quit()
