"""What every type has here: a form, which is how its values are written and how they are read."""

from collections.abc import Callable
from typing import Any, Self

import attrs

__all__ = ["Form", "Mismatch", "placed"]


class Mismatch(ValueError):
    """A value is not what its type says.

    `expected` describes the type, `path` leads to the place; neither shows anything of the value.
    It stays in this room: the codec turns it into an error of the library.
    """

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected, self.path = expected, ""

    def within(self, step: str) -> Self:
        """The same mismatch, seen from one level further out."""
        self.path = step + self.path
        return self


@attrs.frozen(kw_only=True)
class Form:
    """How the values of one type are written and read.

    `encode` checks a value and gives what `msgspec` writes as JSON, `decode` takes parsed JSON;
    both raise `Mismatch`. `fast` says that `msgspec` reads the type just as `decode` does, so
    far as the JSON is what `encode` leads to. `passes` is a Python expression about `{v}`, true
    only of values that `encode` would give back as they are: it saves the call. `plain` is the
    same, but leaves text unread: true also of text that JSON has to escape, or that is no Unicode.
    `again` is what remains to be asked of a value that `msgspec` has just read. A `flat` form
    leads to JSON without arrays and objects.
    """

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    fast: bool = True
    passes: str = "False"
    plain: str = attrs.field(default=attrs.Factory(lambda form: form.passes, takes_self=True))
    again: str = attrs.field(default=attrs.Factory(lambda form: form.plain, takes_self=True))
    flat: bool = False


def placed(work: Callable[[Any], Any], step: str) -> Callable[[Any], Any]:
    """The same work, whose mismatches name the step that led to it."""

    def stepping(value: Any) -> Any:
        try:
            return work(value)
        except Mismatch as mismatch:
            raise mismatch.within(step)  # noqa: B904  # the same object, one step longer

    return stepping
