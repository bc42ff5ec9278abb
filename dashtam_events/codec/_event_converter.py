"""The converter of cattrs that coerces nothing; loaded only where somebody asks for one."""

import types
import typing
from enum import Enum
from pathlib import Path
from typing import Any, get_origin

import cattrs

from dashtam_events.codec._compile import Forms, native

__all__ = ["EventConverter"]

_DISPATCHED_BY_CLASS = (str, bytes, int, float, Enum, Path)
"""The classes for which cattrs brings hooks that a catch-all does not replace."""


class EventConverter(cattrs.Converter):
    """A `cattrs.Converter` that coerces nothing: made by `make_converter`."""

    def __init__(self) -> None:
        super().__init__()
        forms = Forms(self)

        def unstructure_as(kind: Any) -> Any:
            return native(lambda value: forms.of(kind).encode(value))

        def structure_as(kind: Any) -> Any:
            return native(lambda raw, _kind=None: forms.of(kind).decode(raw))

        self.register_unstructure_hook_factory(lambda _kind: True, unstructure_as)
        self.register_structure_hook_factory(lambda _kind: True, structure_as)
        for kind in _DISPATCHED_BY_CLASS:
            self.register_unstructure_hook(
                kind, native(lambda value: forms.of(type(value)).encode(value))
            )
            self.register_structure_hook(kind, native(lambda raw, kind: forms.of(kind).decode(raw)))

    def register_structure_hook(self, cl: Any, func: Any = None) -> Any:
        """Register a hook; those for unions are kept where the catch-all does not hide them."""
        if func is not None and get_origin(cl) in (typing.Union, types.UnionType):
            return self.register_structure_hook_func(lambda kind: kind == cl, func)
        register: Any = super().register_structure_hook
        return register(cl, func)
