"""Where the faults happen: in files of SQLite, and in a schema of PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.forking import Forker, forker
from tests.faults.places import Place
from tests.postgres_server import dsn, mortal_server, postgres, schema

__all__ = ["dsn", "mortal_server", "postgres", "schema"]


@pytest.fixture(scope="session", name="forker")
def one_forker() -> Iterator[Forker]:
    with forker() as started:
        yield started


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return Place(folder=str(tmp_path))
    given = {name: request.getfixturevalue(name) for name in ("dsn", "schema")}
    return Place(folder=str(tmp_path), **given)
