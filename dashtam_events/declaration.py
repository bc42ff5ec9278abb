"""What an event class says about itself: its name, its privacy, what each adapter makes of it."""

from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from typing import Any

import attrs

from dashtam_events._frozen import EMPTY, FrozenDict

__all__ = [
    "SSE",
    "Audit",
    "Email",
    "EventSpec",
    "FieldSpec",
    "LogLevel",
    "Phase",
    "Privacy",
    "Upcaster",
]

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""A pure function from the raw form of one schema version to the raw form of the next."""


class Phase(StrEnum):
    """Where in its workflow an event stands."""

    ATTEMPTED = "attempted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ALLOWED = "allowed"
    DENIED = "denied"
    OPERATIONAL = "operational"


class LogLevel(StrEnum):
    """How loudly an event is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Privacy(Enum):
    """Who may see a field.

    A public field goes everywhere. A personal field belongs to the event's subject: it is
    stored, and masked in repr and logs. A secret never leaves the process.
    """

    PUBLIC = "public"
    PERSONAL = "personal"
    SECRET = "secret"


@attrs.frozen
class Audit:
    """The event asks for a record in the audit trail.

    `resource` is the kind of thing acted on; `resource_id` and `user_id` name the fields that
    hold whose and which (None: the record has none). `user_id` defaults to the event's subject.
    """

    action: str
    resource: str = attrs.field(kw_only=True)
    resource_id: str | None = attrs.field(default=None, kw_only=True)
    user_id: str | None = attrs.field(default="<subject>", kw_only=True)


@attrs.frozen(kw_only=True)
class Email:
    """The event asks for an e-mail to its subject.

    `when` names a boolean field that must be true for the mail to go out.
    """

    when: str | None = None


@attrs.frozen(init=False)
class SSE:
    """The event is shown live to its subject as a server-sent event of `type`.

    Positional names are fields sent under their own name; keywords rename:
    `SSE("sync.failed", "connection_id", error="reason")` sends the field `reason` as `error`.
    """

    type: str
    payload: Mapping[str, str]

    def __init__(self, event_type: str, /, *fields: str, **renamed: str) -> None:
        payload = FrozenDict({name: name for name in fields} | renamed)
        # attrs writes this method where a class has an __init__ of its own.
        self.__attrs_init__(event_type, payload)  # pyright: ignore[reportAttributeAccessIssue]


@attrs.frozen(kw_only=True)
class FieldSpec:
    """One field of an event class; `default` is `attrs.NOTHING` where a value is required."""

    name: str
    type: Any
    privacy: Privacy
    default: Any

    @property
    def required(self) -> bool:
        """True where a value must be given."""
        return self.default is attrs.NOTHING


@attrs.frozen(kw_only=True)
class EventSpec:
    """Everything an event class declares. `fields` leaves out `event_id` and `occurred_at`."""

    name: str
    version: int = 1
    category: str | None = None
    workflow: str | None = None
    phase: Phase | None = None
    audit: Audit | None = None
    email: Email | None = None
    sse: SSE | None = None
    log_level: LogLevel = LogLevel.INFO
    ends_sessions: bool = False
    subject: str | None = None
    upcasters: Mapping[int, Upcaster] = EMPTY
    fields: tuple[FieldSpec, ...] = ()

    def fields_of(self, privacy: Privacy) -> tuple[str, ...]:
        """The names of the fields with this privacy, in the order of their declaration."""
        return tuple(field.name for field in self.fields if field.privacy is privacy)
