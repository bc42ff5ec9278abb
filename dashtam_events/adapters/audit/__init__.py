"""The audit trail: who did what to what, when, from where and with what outcome.

`AuditEventHandler` writes a row of the table `audit_log` for each event that asks for one, in the
publisher's transaction; `AuditLog` reads them. It needs the extra `audit`.
"""

from importlib.util import find_spec

from dashtam_events.errors import MissingExtra

if find_spec("sqlalchemy") is None:
    raise MissingExtra("audit")

from dashtam_events.adapters.audit.handler import AuditEventHandler
from dashtam_events.adapters.audit.log import AuditLog, AuditPage
from dashtam_events.adapters.audit.record import AuditRecord, canonical_bytes, leaf_hash
from dashtam_events.adapters.audit.schema import (
    AUDIT_METADATA,
    audit_log,
    audit_personal,
    create_audit_tables,
    downgrade,
    upgrade,
)

__all__ = [
    "AUDIT_METADATA",
    "AuditEventHandler",
    "AuditLog",
    "AuditPage",
    "AuditRecord",
    "audit_log",
    "audit_personal",
    "canonical_bytes",
    "create_audit_tables",
    "downgrade",
    "leaf_hash",
    "upgrade",
]
