"""Server-sent events: what a browser is told, and the bytes that tell it."""

from dashtam_events.sse.event import ServerSentEvent
from dashtam_events.sse.wire import comment, encode_data, frame

__all__ = ["ServerSentEvent", "comment", "encode_data", "frame"]
