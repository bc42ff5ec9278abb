"""An event as it is stored, and the functions for each class that make it."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from dashtam_events.codec._classes import Fields, checking, compiled, locals_of
from dashtam_events.codec._forms import Form
from dashtam_events.codec._json import dumps
from dashtam_events.codec._limits import Limits
from dashtam_events.codec._privacy import seal
from dashtam_events.declaration import EventSpec, Privacy

__all__ = ["EncodedEvent", "Functions", "functions"]

_BACKSLASH = ord("\\")


class EncodedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as it is stored: `data` is one JSON object, read by `name` and schema `version`.

    `subject` is whom the event declares to be about, as text. The repr does not show the bytes.
    """

    name: str
    version: int
    data: bytes
    subject: str | None = None

    def __repr__(self) -> str:
        return (
            f"EncodedEvent(name={self.name!r}, version={self.version}, "
            f"data=<{len(self.data)} bytes>)"
        )


class Functions(NamedTuple):
    """What writes the events of one class, and what reads them; None where it is not known how.

    `encode` raises `Mismatch` and `LimitExceeded`. `read` gives the event where the data is to
    the byte what it is written as, and None otherwise: equal bytes mean that nothing was coerced,
    doubled, left out or loosely written. What else there is to say, the exact reading says.
    """

    encode: Callable[[Any], EncodedEvent]
    read: Callable[[bytes], Any] | None


def functions(
    cls: Any, spec: EventSpec, fields: Fields, form: Form, limits: Limits, *, sure: int
) -> Functions:
    """The functions for a class; data of up to `sure` bytes is within the limits."""

    def exactly(value: Any) -> bytes:
        return dumps(seal(spec, form.encode(value)))

    sealed = bool(spec.fields_of(Privacy.PERSONAL))
    subject = "subject(value)" if spec.subject else "None"
    source = [
        "def encode(value):",
        *_writing(fields, [form.plain for _, form in fields.values()], sealed=sealed),
        f"    if len(data) > {sure}:",
        "        check(name, data)",
        f"    return EncodedEvent(name, version, data, {subject})",
        "def read(given):",
        "    try:",
        "        value = decode(given)",
        *_deeper(_writing(fields, [form.again for _, form in fields.values()], sealed=sealed)),
        "        return value if data == given else None",
        # The errors of msgspec, and those of any validator.
        "    except Exception:",
        "        return None",
    ]
    decode = _decoder(cls) if form.fast else None
    names = {
        "struct": None if sealed else _struct(cls, fields),
        "dumps": dumps,
        "decode": decode,
        "exactly": exactly,
        "check": limits.check,
        "EncodedEvent": EncodedEvent,
        "name": spec.name,
        "version": spec.version,
        "subject": _subject(spec.subject) if spec.subject else None,
    }
    made = compiled(cls, fields, source, names)
    return Functions(made["encode"], None if decode is None else made["read"])


def _decoder(cls: Any) -> Callable[[bytes], Any] | None:
    try:
        return msgspec.json.Decoder(cls).decode
    except (TypeError, NotImplementedError):
        return None


def _struct(cls: Any, fields: Fields) -> type[msgspec.Struct]:
    return msgspec.defstruct(cls.__name__, [(name, object) for name in fields], gc=False)


def _writing(fields: Fields, passes: list[str], *, sealed: bool) -> list[str]:
    """Lines that write `value` as `data`, as the exact way does, but sooner where they can.

    A struct is written faster than a dict. Text is not looked at on the way. What JSON escapes in
    it, and what is no Unicode, shows in the end, and then the exact way has the last word.
    """
    exact = "    data = exactly(value)"
    if sealed:
        return [exact]
    return [
        *checking(fields, passes),
        "    try:",
        f"        data = dumps(struct({', '.join(locals_of(fields).values())}))",
        "    except UnicodeEncodeError:",
        f"        data = bytes([{_BACKSLASH}])",
        f"    if {_BACKSLASH} in data:",
        *_deeper([exact]),
    ]


def _deeper(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _subject(field: str) -> Callable[[Any], str | None]:
    value_of = attrgetter(field)

    def subject(event: Any) -> str | None:
        value = value_of(event)
        if type(value) is UUID:
            return dumps(value)[1:-1].decode()  # a quarter of the time that str takes
        if isinstance(value, str):
            return str.__str__(value)  # as it stands in the data, whatever a subclass prints
        return None if value is None else str(value)

    return subject
