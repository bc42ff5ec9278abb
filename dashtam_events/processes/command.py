"""Commands: what a process asks for, as it is stored and as it is handed over."""

from collections.abc import Awaitable, Callable
from types import UnionType
from typing import Any, Generic, Never, Self, TypeVar, Union, get_args, get_origin
from uuid import UUID

import attrs

from dashtam_events.codec import make_converter
from dashtam_events.codec._json import dumps_sorted, parse
from dashtam_events.declaration import Privacy
from dashtam_events.errors import DecodingError
from dashtam_events.privacy import privacy_of
from dashtam_events.recorded import EventMetadata

__all__ = ["CommandForms", "Executor", "IssuedCommand"]

_C = TypeVar("_C")
_C_co = TypeVar("_C_co", covariant=True)


@attrs.frozen(kw_only=True)
class IssuedCommand(Generic[_C_co]):
    """A command that is stored, and has to be executed.

    `id` is the same whenever the command comes again: an executor that must not act twice
    remembers it, or derives from it the ids of what it writes. `metadata` is for what follows:
    it goes on with the correlation of the event that led here.
    """

    id: UUID
    process_id: UUID
    command: _C_co
    metadata: EventMetadata


Executor = Callable[[IssuedCommand[_C]], Awaitable[None]]
"""What executes one command; it raises where it could not, and may be asked again."""


class CommandForms:
    """The classes of a process's commands, by the names under which they are stored.

    Raises:
        TypeError: a class is no frozen attrs class, has a secret, or shares its name.
    """

    def __init__(self, classes: tuple[Any, ...] = ()) -> None:
        self._converter = make_converter()
        self._by_name: dict[str, type[Any]] = {}
        for cls in classes:
            _check(cls)
            if cls.__name__ in self._by_name:
                raise TypeError(f"two of its commands are named {cls.__name__}")
            self._by_name[cls.__name__] = cls

    @classmethod
    def of(cls, kinds: Any) -> Self:
        """The forms of one class, of a union of them, or of `Never`."""
        if kinds is Never:
            return cls()
        return cls(get_args(kinds) if get_origin(kinds) in (Union, UnionType) else (kinds,))

    def dump(self, command: object) -> tuple[str, str]:
        """The name of a command and its JSON.

        Raises:
            TypeError: its class is none of the process's commands.
            EncodingError: a field holds something that cannot be read back.
        """
        kind = type(command)
        if self._by_name.get(kind.__name__) is not kind:
            raise TypeError(f"{kind.__qualname__} is none of the commands of this process")
        return kind.__name__, dumps_sorted(self._converter.unstructure(command, kind)).decode()

    def load(self, name: str, body: str) -> Any:
        """The command that `dump` wrote.

        Raises:
            DecodingError: the class is gone, or has another shape.
        """
        kind = self._by_name.get(name)
        if kind is None:
            raise DecodingError(name, "", "a command of this process")
        try:
            return self._converter.structure(parse(body.encode()), kind)
        except Exception:  # noqa: BLE001  # whatever ails it, its text may hold values
            raise DecodingError(name, "", "the command as it was issued") from None


def _check(cls: Any) -> None:
    if not (isinstance(cls, type) and attrs.has(cls) and vars(cls).get("__hash__")):
        raise TypeError(f"a command is a class decorated with @attrs.frozen; {cls!r} is none")
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(cls)
    if any(privacy_of(field) is Privacy.SECRET for field in fields):
        raise TypeError(f"{cls.__name__} has a secret field, and a command is stored")
