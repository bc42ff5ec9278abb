"""Mail for the events that declare it: written from templates, sent once, tried again.

It needs the extra `email`. A few lines make it work:

    sender = SMTPEmailSender("smtp.example.com", username="...", password="...")
    templates = EmailTemplates(base_url="https://app.example.com", service_name="Example")
    handler = EmailEventHandler(
        sender, templates=templates, from_address="Example <no-reply@example.com>"
    )
    bus.subscribe(CATALOGUE.emailed(), handler)
"""

from dashtam_events.adapters.email.handler import EmailEventHandler, RecipientLookup
from dashtam_events.adapters.email.sender import EmailSender
from dashtam_events.adapters.email.smtp import SMTPEmailSender
from dashtam_events.adapters.email.templates import EmailTemplates

__all__ = [
    "EmailEventHandler",
    "EmailSender",
    "EmailTemplates",
    "RecipientLookup",
    "SMTPEmailSender",
]
