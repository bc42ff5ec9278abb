"""Server-sent events: what a browser is told, the bytes that tell it, and the endpoint that does.

The Redis transport is imported from `dashtam_events.sse.redis`; it needs the extra `redis`.
"""

from dashtam_events.sse.counters import SSECounters
from dashtam_events.sse.endpoint import Authenticate, SSEEndpoint, SSEUser
from dashtam_events.sse.event import ServerSentEvent
from dashtam_events.sse.hub import SSEHub
from dashtam_events.sse.protocol import SSEPublisher, SSESubscriber
from dashtam_events.sse.subscription import SSESubscription
from dashtam_events.sse.wire import comment, encode_data, frame

__all__ = [
    "Authenticate",
    "SSECounters",
    "SSEEndpoint",
    "SSEHub",
    "SSEPublisher",
    "SSESubscriber",
    "SSESubscription",
    "SSEUser",
    "ServerSentEvent",
    "comment",
    "encode_data",
    "frame",
]
