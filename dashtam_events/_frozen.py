"""What the fields of events hold: a mapping that never changes, instants without a zone's name."""

from collections.abc import ItemsView, Iterator, Mapping
from datetime import UTC, datetime, timezone
from typing import Any, TypeVar

__all__ = ["EMPTY", "FrozenDict", "kept"]

K = TypeVar("K")
V = TypeVar("V", covariant=True)


class FrozenDict(Mapping[K, V]):
    """A mapping that is copied once on the way in and never changes after.

    It equals any mapping with the same items, hashes when its values do, and pickles.
    """

    __slots__ = ("_items",)
    _items: dict[K, V]

    def __init__(self, items: Mapping[K, V] | None = None) -> None:
        object.__setattr__(self, "_items", dict(items or {}))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a FrozenDict is immutable: cannot set {name!r}")

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def items(self) -> ItemsView[K, V]:
        return self._items.items()

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self._items),)


EMPTY: FrozenDict[Any, Any] = FrozenDict()


def kept(value: Any) -> Any:
    """The value as an event keeps it, whatever collections it is nested in.

    Mappings are copied. A datetime in a named zone takes the offset that it has there instead:
    the name alone does not say which instant is meant in the hour that autumn repeats, so it
    would not equal what is read back.
    """
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    if isinstance(value, datetime):
        return _at_its_offset(value)
    if isinstance(value, Mapping):
        return FrozenDict({key: kept(item) for key, item in value.items()})
    if type(value) is tuple or type(value) is frozenset:
        return type(value)(kept(item) for item in value)
    return value


def _at_its_offset(instant: datetime) -> datetime:
    if instant.tzinfo is None or type(instant.tzinfo) is timezone:
        return instant
    offset = instant.utcoffset()
    if offset is None:
        return instant
    return instant.replace(tzinfo=timezone(offset), fold=0)
