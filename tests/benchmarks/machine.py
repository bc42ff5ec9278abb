"""What a run was made on: without it, figures say nothing."""

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.postgres.server import server_version

__all__ = ["described"]

_PACKAGES = ("asyncpg", "blinker", "eventsourcing", "msgspec", "psycopg", "sse-starlette")


def described() -> dict[str, str]:
    """Machine and versions, by name."""
    return {
        "machine": f"{os.cpu_count()} cores of {_processor()}, {platform.system()}",
        "load": f"{os.getloadavg()[0]:.1f} before",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": server_version(),
    } | {name: version(name) for name in _PACKAGES}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
