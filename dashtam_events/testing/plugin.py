"""The pytest plugin: stores, buses, time and ids for a service's tests, as fixtures.

Every pytest run where the package is installed loads this module, so it imports pytest and
nothing else; what a fixture needs is imported when the fixture is asked for.
"""

from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dashtam_events.registry import EventRegistry
    from dashtam_events.store.memory import InMemoryEventStore
    from dashtam_events.store.sqlite import SQLiteEventStore
    from dashtam_events.testing.held import HeldClock, HeldIds
    from dashtam_events.testing.recording import RecordingEventBus

__all__ = [
    "event_bus",
    "event_registry",
    "event_store",
    "held_clock",
    "held_ids",
    "pytest_addoption",
    "sqlite_event_store",
    "update_event_forms",
]

_REGISTRY = "dashtam_events_registry"

pytest.register_assert_rewrite(
    "dashtam_events.testing._store_appending",
    "dashtam_events.testing._store_reading",
    "dashtam_events.testing.bus_contract",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option and the setting of the plugin."""
    parser.getgroup("dashtam-events").addoption(
        "--update-event-forms",
        action="store_true",
        help="let check_registry write new events and versions into the golden file",
    )
    parser.addini(
        _REGISTRY,
        "the events of the store fixtures, as module:NAME",
        default="dashtam_events.catalogue:CATALOGUE",
    )


@pytest.fixture(scope="session")
def event_registry(pytestconfig: pytest.Config) -> "EventRegistry":
    """The events that the store fixtures know.

    They are those that the setting `dashtam_events_registry` names, the catalogue by default.
    Override the fixture to say it in code.
    """
    from dashtam_events.registry import EventRegistry

    setting = pytestconfig.getini(_REGISTRY)
    try:
        registry = resolve_name(setting)
    except (AttributeError, ImportError, ValueError) as error:
        raise pytest.UsageError(f"{_REGISTRY} = {setting}: {error}") from error
    if not isinstance(registry, EventRegistry):
        raise pytest.UsageError(f"{_REGISTRY} = {setting}: it is no EventRegistry")
    return registry


@pytest.fixture
def event_store(event_registry: "EventRegistry") -> "InMemoryEventStore":
    """An empty store in memory."""
    from dashtam_events.store.memory import InMemoryEventStore

    return InMemoryEventStore(registry=event_registry)


@pytest.fixture
def sqlite_event_store(event_registry: "EventRegistry", tmp_path: Path) -> "SQLiteEventStore":
    """A store on a new file, `events.db` in `tmp_path`; open it in the test with `async with`.

    It is not open yet, so that it belongs to the event loop of the test, whoever runs that.
    """
    from dashtam_events.store.sqlite import SQLiteEventStore

    return SQLiteEventStore(tmp_path / "events.db", registry=event_registry)


@pytest.fixture
def event_bus() -> "RecordingEventBus":
    """A bus that delivers, and remembers what was published."""
    from dashtam_events.testing.recording import RecordingEventBus

    return RecordingEventBus()


@pytest.fixture
def held_clock(monkeypatch: pytest.MonkeyPatch) -> "HeldClock":
    """The clock of the library stands still, at noon of 1 January 2026 in UTC, until it is moved.

    It is what `occurred_at` and `recorded_at` are taken from. Waiting takes its time as before.
    """
    from dashtam_events import _clock
    from dashtam_events.testing.held import HeldClock

    clock = HeldClock()
    monkeypatch.setattr(_clock, "datetime", clock)
    return clock


@pytest.fixture
def held_ids(monkeypatch: pytest.MonkeyPatch) -> "HeldIds":
    """The ids that the library mints count from 1."""
    from dashtam_events import _ids
    from dashtam_events.testing.held import HeldIds

    ids = HeldIds()
    monkeypatch.setattr(_ids, "uuid7", ids)
    return ids


@pytest.fixture(scope="session")
def update_event_forms(pytestconfig: pytest.Config) -> bool:
    """Whether pytest was called with `--update-event-forms`, for `check_registry(update=...)`."""
    return bool(pytestconfig.getoption("--update-event-forms"))
