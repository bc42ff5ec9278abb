"""An immutable, hashable mapping for the fields of events."""

from collections.abc import ItemsView, Iterator, Mapping
from typing import Any, TypeVar

__all__ = ["EMPTY", "FrozenDict"]

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
