"""Recorded events as CloudEvents 1.0 in JSON, for services that share no code, and back."""

from dashtam_events.cloudevents._decoding import CloudEvent, CloudEventDecoder
from dashtam_events.cloudevents._encoding import CONTENT_TYPE, CloudEventEncoder

__all__ = ["CONTENT_TYPE", "CloudEvent", "CloudEventDecoder", "CloudEventEncoder"]
