"""Addresses that cannot smuggle in another header or another recipient."""

from email.errors import MessageError, NonASCIILocalPartDefect
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from dashtam_events._clock import now

__all__ = ["addressed", "one_address"]


def one_address(text: str) -> Address | None:
    """The address that a text names, with the name before it; None where it is not just one."""
    probe = EmailMessage(policy=SMTP)
    if not text.isprintable():
        return None
    try:
        probe["To"] = text
        header = probe["To"]
    except (MessageError, ValueError, IndexError):
        return None
    if any(not isinstance(defect, NonASCIILocalPartDefect) for defect in header.defects):
        return None
    found: tuple[Address, ...] = header.addresses
    return found[0] if len(found) == 1 and found[0].username and found[0].domain else None


def addressed(sender: Address, recipient: str | None) -> EmailMessage | None:
    """A mail with everything but its content; None where the recipient is not one address."""
    to = None if recipient is None else one_address(recipient)
    if to is None:
        return None
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = sender, to
    message["Date"] = format_datetime(now())
    # RFC 3834, section 5: nobody's absence note answers it.
    message["Auto-Submitted"] = "auto-generated"
    return message
