"""Before each sample garbage is collected, and what the test run itself holds is a lot."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def only_what_the_test_makes_is_collected() -> Iterator[None]:
    gc.freeze()
    yield
    gc.unfreeze()
