"""The testing kit for services that use events: scenarios, doubles, strategies and contracts.

It needs the extra `testing`. The names are loaded when they are first asked for, because pytest
loads this package at the start of every run to find the plugin beside them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dashtam_events.errors import MissingExtra

if TYPE_CHECKING:
    from dashtam_events.testing._expectation import Expectation, like
    from dashtam_events.testing.bus_contract import BusContract
    from dashtam_events.testing.checks import check_registry
    from dashtam_events.testing.faults import FaultyEventStore
    from dashtam_events.testing.held import HeldClock, HeldIds
    from dashtam_events.testing.recording import PublishedEvent, RecordingEventBus
    from dashtam_events.testing.scenario import Outcome, Scenario, given
    from dashtam_events.testing.sse import ReceivedEvent, SSEParser, parse_sse
    from dashtam_events.testing.store_contract import CONTRACT_EVENTS, StoreContract
    from dashtam_events.testing.strategies import events, recorded_events

__all__ = [
    "CONTRACT_EVENTS",
    "BusContract",
    "Expectation",
    "FaultyEventStore",
    "HeldClock",
    "HeldIds",
    "Outcome",
    "PublishedEvent",
    "ReceivedEvent",
    "RecordingEventBus",
    "SSEParser",
    "Scenario",
    "StoreContract",
    "check_registry",
    "events",
    "given",
    "like",
    "parse_sse",
    "recorded_events",
]

_HOME = {
    "BusContract": "bus_contract",
    "CONTRACT_EVENTS": "store_contract",
    "Expectation": "_expectation",
    "FaultyEventStore": "faults",
    "HeldClock": "held",
    "HeldIds": "held",
    "Outcome": "scenario",
    "PublishedEvent": "recording",
    "ReceivedEvent": "sse",
    "RecordingEventBus": "recording",
    "SSEParser": "sse",
    "Scenario": "scenario",
    "StoreContract": "store_contract",
    "check_registry": "checks",
    "events": "strategies",
    "given": "scenario",
    "like": "_expectation",
    "parse_sse": "sse",
    "recorded_events": "strategies",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        room = import_module(f"{__name__}.{_HOME[name]}")
    except ModuleNotFoundError as error:
        if error.name in ("hypothesis", "pytest", "pytest_asyncio"):
            raise MissingExtra("testing") from error
        raise
    return getattr(room, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
