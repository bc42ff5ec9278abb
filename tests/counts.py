"""How often tests do what must never fail: a little in the suite, in full on CI, more in a soak."""

import os

import pytest

__all__ = ["counted", "of"]

_CHOSEN = os.environ.get("DASHTAM_EVENTS_COUNTS", "short")

counted = pytest.mark.counted
"""Marks the tests that ask for one; `nox -s counts` and `nox -s soak` run just those."""


def of(*, short: int, full: int, soak: int | None = None) -> int:
    """The count that the environment asks for; a soak does five times what is done in full."""
    counts = {"short": short, "full": full, "soak": 5 * full if soak is None else soak}
    return counts[_CHOSEN]
