"""An error that is raised without the foreign one behind it, which may quote values."""

from typing import NoReturn

__all__ = ["raise_alone"]


def raise_alone(error: Exception) -> NoReturn:
    """Raise an error where a foreign one is handled, which becomes no part of it.

    Those who report errors read the context too, so that `from None` would not do.
    """
    try:
        raise error
    finally:
        error.__context__ = None
