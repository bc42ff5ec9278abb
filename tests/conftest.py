"""What every test stands on: the repository's root, and the package under test."""

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

# Last on the path: `tests` is found here, `dashtam_events` only where it is not installed.
sys.path.append(str(ROOT))

# How long an example takes, or is thought up, says something of the machine alone.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_configure() -> None:
    """Where the installed package is to be tested, refuse to test the checkout instead.

    Ctrl-C is listened to again where whoever started the suite in the background turned it off:
    the processes that tests start inherit that, and some of them are ended so.
    """
    import dashtam_events

    signal.signal(signal.SIGINT, signal.default_int_handler)

    tested = Path(dashtam_events.__file__)
    wanted = os.environ.get("DASHTAM_EVENTS_TESTED")
    if wanted == "installed" and not tested.is_relative_to(sys.prefix):
        raise pytest.UsageError(f"the installed package is hidden by {tested.parent}")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout that holds these tests."""
    return ROOT
