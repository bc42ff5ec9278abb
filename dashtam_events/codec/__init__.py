"""Events to bytes and back: strict, exact, bounded."""

from dashtam_events.codec._codec import EventCodec
from dashtam_events.codec._converter import make_converter
from dashtam_events.codec._encoded import EncodedEvent
from dashtam_events.codec._limits import Limits

__all__ = ["EncodedEvent", "EventCodec", "Limits", "make_converter"]
