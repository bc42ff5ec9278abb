"""Nothing is lost in memory, nothing repeated, and nothing out of order."""

import pytest

from dashtam_events.store import InMemoryEventStore
from dashtam_events.testing import CONTRACT_EVENTS
from tests import counts
from tests.no_loss.promises import Findings, NoLoss, judge
from tests.no_loss.runs import Load


@pytest.fixture(scope="module")
def in_one_process() -> Findings:
    """All tasks of one process use one store."""

    def place() -> Load:
        store = InMemoryEventStore(registry=CONTRACT_EVENTS)
        return Load(open=lambda: store)

    return judge(place, counts.of(short=300, full=10_000, soak=100_000))


@counts.counted
class TestOneProcess(NoLoss):
    @pytest.fixture
    def findings(self, in_one_process: Findings) -> Findings:
        return in_one_process
