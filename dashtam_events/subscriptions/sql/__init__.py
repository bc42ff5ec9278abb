"""Checkpoints in PostgreSQL or SQLite, and projections that are written together with them.

It needs the extra `sqlalchemy`.
"""

from importlib.util import find_spec

from dashtam_events.errors import MissingExtra

if find_spec("sqlalchemy") is None:
    raise MissingExtra("sqlalchemy")

from dashtam_events.subscriptions.sql.checkpoints import SQLCheckpointStore
from dashtam_events.subscriptions.sql.inbox import Inbox
from dashtam_events.subscriptions.sql.inline import InlineProjections, JoinableStore
from dashtam_events.subscriptions.sql.projection import Projection, upsert
from dashtam_events.subscriptions.sql.projector import Projector
from dashtam_events.subscriptions.sql.rebuild import rebuild
from dashtam_events.subscriptions.sql.schema import (
    SUBSCRIPTION_METADATA,
    UTCDateTime,
    create_subscription_tables,
)

__all__ = [
    "SUBSCRIPTION_METADATA",
    "Inbox",
    "InlineProjections",
    "JoinableStore",
    "Projection",
    "Projector",
    "SQLCheckpointStore",
    "UTCDateTime",
    "create_subscription_tables",
    "rebuild",
    "upsert",
]
