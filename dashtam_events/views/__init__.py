"""Views of what happened to connections and syncs: tables that projectors write and you query.

It needs the extra `sqlalchemy`.
"""

from importlib.util import find_spec

from dashtam_events.errors import MissingExtra

if find_spec("sqlalchemy") is None:
    raise MissingExtra("sqlalchemy")

from dashtam_events.views.connections import ConnectionSummary, ConnectionsView
from dashtam_events.views.syncs import SyncAttempt, SyncHistoryView, SyncOutcome, WorkflowStatistics

__all__ = [
    "ConnectionSummary",
    "ConnectionsView",
    "SyncAttempt",
    "SyncHistoryView",
    "SyncOutcome",
    "WorkflowStatistics",
]
