"""What every event store promises, as tests that anybody can run against a store of their own."""

import pytest

from dashtam_events.testing._store_appending import AppendingContract
from dashtam_events.testing._store_reading import ReadingContract
from dashtam_events.testing._store_samples import CONTRACT_EVENTS

__all__ = ["CONTRACT_EVENTS", "StoreContract"]


@pytest.mark.asyncio
class StoreContract(AppendingContract, ReadingContract):
    """The promises of `EventStore`, one a test; each has its sentence as a docstring.

    Subclass it and give it an empty store, made with the registry `CONTRACT_EVENTS`, as an
    asynchronous fixture named `store`:

        class TestMyStore(StoreContract):
            @pytest_asyncio.fixture
            async def store(self, tmp_path):
                async with MyStore(tmp_path / "events", registry=CONTRACT_EVENTS) as store:
                    yield store

    It works in both modes of pytest-asyncio, strict and auto.
    """
