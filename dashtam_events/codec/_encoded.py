"""An event as it is stored, and the functions for each class that make it."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple, cast
from uuid import UUID

import attrs
import msgspec

from dashtam_events._checks import IDENTITY
from dashtam_events._frozen import kept
from dashtam_events.codec._classes import Fields, checking, compiled, locals_of
from dashtam_events.codec._forms import Form
from dashtam_events.codec._json import dumps
from dashtam_events.codec._limits import Limits
from dashtam_events.codec._privacy import seal
from dashtam_events.declaration import EventSpec, Privacy

__all__ = ["EncodedEvent", "Functions", "functions"]

_BACKSLASH = ord("\\")
_MOST_EARLIER = 64
"""So many layouts of earlier times are known of a class."""

_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


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
    doubled or loosely written. Fields may be left out, or stand in another order, as the class
    had them when the data was written. What else there is to say, the exact reading says.
    """

    encode: Callable[[Any], EncodedEvent]
    read: Callable[[bytes], Any] | None


def functions(
    cls: Any, spec: EventSpec, fields: Fields, form: Form, limits: Limits, *, sure: int
) -> Functions:
    """The functions for a class; data of up to `sure` bytes is within the limits."""
    sealed = _is_sealed(spec)
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
        "        return value if data == given else earlier(given, value)",
        # The errors of msgspec, and those of any validator.
        "    except Exception:",
        "        return None",
    ]
    decode = _decoder(cls) if form.fast else None
    names = {
        **_names(cls, spec, fields, form),
        "decode": decode,
        "earlier": _Earlier(cls, spec, fields, form),
        "check": limits.check,
        "EncodedEvent": EncodedEvent,
        "name": spec.name,
        "version": spec.version,
        "subject": _subject(spec.subject) if spec.subject else None,
    }
    made = compiled(cls, fields, source, names)
    return Functions(made["encode"], None if decode is None else made["read"])


class _Earlier:
    """Tells whether data is what a class was written as when it had fewer fields, or others first.

    Calling it gives the value that was read, or None where it cannot say so.
    """

    def __init__(self, cls: Any, spec: EventSpec, fields: Fields, form: Form) -> None:
        self._cls, self._spec, self._fields, self._form = cls, spec, fields, form
        had = {name for name, (field, _) in fields.items() if not _may_be_missing(field)}
        self._needed = had.union(IDENTITY)
        self._writers: dict[tuple[str, ...], Callable[[Any], bytes]] = {}
        self._latest: Callable[[Any], bytes] | None = None

    def __call__(self, given: bytes, value: Any) -> Any:
        # What is read one after the other was often written by one release.
        if self._latest is not None and self._latest(value) == given:
            return value
        names = tuple(_keys(given))
        write = self._writers.get(names)
        if write is None:
            if len(self._writers) >= _MOST_EARLIER or not self._may_be(names):
                return None
            write = self._writers[names] = self._writer(names)
        self._latest = write
        return value if write(value) == given else None

    def _may_be(self, names: tuple[str, ...]) -> bool:
        known = self._fields.keys()
        return self._needed <= set(names) <= known and names != tuple(known)

    def _writer(self, names: tuple[str, ...]) -> Callable[[Any], bytes]:
        fields = {name: self._fields[name] for name in names}
        passes = [form.again for _, form in fields.values()]
        source = [
            "def write(value):",
            *_writing(fields, passes, sealed=_is_sealed(self._spec)),
            "    return data",
        ]
        known = _names(self._cls, self._spec, fields, self._form)
        return compiled(self._cls, fields, source, known)["write"]


def _may_be_missing(field: "attrs.Attribute[Any]") -> bool:
    """Whether a field that is left out becomes with msgspec, too, what the class makes of it."""
    default: Any = field.default
    if default is attrs.NOTHING or isinstance(default, cast(Any, attrs.Factory)):
        return False
    return field.converter is None or kept(default) is default


def _is_sealed(spec: EventSpec) -> bool:
    return bool(spec.fields_of(Privacy.PERSONAL))


def _names(cls: Any, spec: EventSpec, fields: Fields, form: Form) -> dict[str, Any]:
    """What the lines that write these fields stand on."""

    def exactly(value: Any) -> bytes:
        raw = form.encode(value)
        return dumps(seal(spec, {name: raw[name] for name in fields}))

    struct = None if _is_sealed(spec) else _struct(cls, fields)
    return {"struct": struct, "dumps": dumps, "exactly": exactly}


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
