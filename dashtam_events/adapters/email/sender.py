"""What sends mail: the protocol that a service can fulfil in its own way."""

from email.message import EmailMessage
from typing import Protocol

__all__ = ["EmailSender"]


class EmailSender(Protocol):
    """Hands mail over to whoever delivers it: an SMTP server, or a provider's API."""

    async def send(self, message: EmailMessage) -> None:
        """Hand over one mail; returns when it was taken.

        Several may be under way at once. The same mail may come again after a failure that left
        it open whether it was taken; its Message-ID is the same then. What is raised is logged:
        its `reason` holds neither an address nor anything of the mail.

        Raises:
            EmailDeferred: it could not be taken now; sending it again may help.
            EmailDeliveryError: it was refused.
        """
        ...
