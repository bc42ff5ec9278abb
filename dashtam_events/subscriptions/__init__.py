"""Following a store: what was missed, then what comes, from wherever the reader left off."""

from dashtam_events.subscriptions.following import follow
from dashtam_events.subscriptions.relay import Relay

__all__ = ["Relay", "follow"]
