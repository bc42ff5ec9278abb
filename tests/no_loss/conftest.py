"""What the stores need that are run: a server, and processes that write beside the tests' own."""

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.databases import postgres

pytest.register_assert_rewrite("tests.no_loss.promises")

__all__ = ["postgres", "processes"]


@pytest.fixture(scope="session")
def processes() -> Iterator[Executor]:
    """Two processes that have inherited nothing of this one."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool
