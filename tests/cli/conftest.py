"""A file as the demo leaves it."""

from pathlib import Path

import pytest

from tests.cli.running import call


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of one demo: seven events of a connection, five of an import."""
    file = tmp_path_factory.mktemp("demo") / "events.db"
    assert call("demo", "--plain", "--db", file).exit_code == 0
    return file
