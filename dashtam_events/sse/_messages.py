"""What travels through Redis and is kept there, read as deliveries."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from dashtam_events.sse._resuming import Kept
from dashtam_events.sse.event import ServerSentEvent
from dashtam_events.sse.subscription import Delivery

__all__ = ["FIELD", "Messages", "text"]

FIELD = "data"
"""Where an entry of a stream holds the JSON of its event."""


class Messages:
    """Reads messages; one that cannot be understood is logged and left out."""

    def __init__(self, event_class: type[ServerSentEvent], logger: logging.Logger) -> None:
        self._event_class, self._logger = event_class, logger

    def delivery(self, data: bytes | str, *, resumable: bool) -> Delivery | None:
        """What a message says."""
        try:
            event = self._event_class.from_dict(msgspec.json.decode(data))
            return Delivery(event=event, frame=event.encode(), resumable=resumable)
        except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            facts = {"error_type": type(error).__name__}
            self._logger.warning("sse_message_not_understood", extra=facts)
            return None

    def kept(self, entries: Iterable[tuple[Any, Mapping[Any, Any]]]) -> list[Kept]:
        """What the entries of a stream say, in their order."""
        kept: list[Kept] = []
        for entry, fields in entries:
            data = next((value for name, value in fields.items() if text(name) == FIELD), b"")
            delivery = self.delivery(data, resumable=True)
            if delivery is not None:
                kept.append(Kept(delivery=delivery, instant=int(text(entry).partition("-")[0])))
        return kept


def text(value: bytes | str) -> str:
    """What a client answers, whether or not it decodes."""
    return value.decode() if isinstance(value, bytes) else value
