"""The converter on which a service registers hooks for types of its own."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import cattrs

__all__ = ["is_strict", "make_converter"]


def make_converter() -> "cattrs.Converter":
    """A converter to register hooks on for types of your own, and to pass to `EventCodec`.

    A hook for a type counts wherever the type occurs, also for one that the codec knows. Every
    type needs both: the unstructure hook gives JSON (with text for what JSON has no form for),
    the structure hook takes it back and raises ValueError for what it does not like::

        converter = make_converter()
        converter.register_unstructure_hook(Money, str)
        converter.register_structure_hook(Money, lambda raw, _: Money.parse(raw))
        codec = EventCodec(registry, converter=converter)

    Register the hooks before the codec is made. Used by itself, the converter is
    as strict as the codec, and unstructures to what `msgspec.json.encode` writes.
    """
    from dashtam_events.codec._event_converter import EventConverter

    return EventConverter()


def is_strict(converter: "cattrs.Converter") -> bool:
    """Whether it is one that `make_converter` made."""
    from dashtam_events.codec._event_converter import EventConverter

    return isinstance(converter, EventConverter)
