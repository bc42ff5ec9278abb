"""Whatever is done to a connection, replaying its events gives the same connection."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from returns.pipeline import is_successful
from returns.result import Result

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.connection import (
    ConnectionRepository,
    ConnectionStatus,
    CredentialType,
    ProviderConnection,
    ProviderConnectionError,
    ProviderCredentials,
)
from dashtam_events.connection._machine import TRANSITIONS
from dashtam_events.store import InMemoryEventStore
from tests.connection.lives import COMMANDS, NOW, seen, started

KINDS = {kind.__name__: kind for kind in COMMANDS}
CREDENTIALS = st.builds(
    ProviderCredentials,
    encrypted_data=st.binary(min_size=1, max_size=40),
    credential_type=st.sampled_from(CredentialType),
    expires_at=st.none() | st.timedeltas(timedelta(0), timedelta(days=90)).map(NOW.__add__),
)


class Life(RuleBasedStateMachine):
    """Commands at random, on a connection that is saved now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = InMemoryEventStore(registry=CATALOGUE)
        self.connections = ConnectionRepository(self.store)
        self.with_snapshots = ConnectionRepository(self.store, snapshot_every=3)
        self.time = NOW

    def teardown(self) -> None:
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def later(self) -> datetime:
        self.time += timedelta(minutes=1)
        return self.time

    @initialize(id=st.uuids(version=4))
    def start(self, id: UUID) -> None:
        self.connection = started(id)
        self.history = list(self.connection.pending_events)

    @rule(credentials=CREDENTIALS)
    def connect(self, credentials: ProviderCredentials) -> None:
        self._obeyed(
            "ProviderConnectionSucceeded",
            self.connection.mark_connected(credentials, now=self.later()),
        )

    @rule(credentials=CREDENTIALS)
    def refresh(self, credentials: ProviderCredentials) -> None:
        self._obeyed(
            "ProviderTokenRefreshSucceeded",
            self.connection.update_credentials(credentials, now=self.later()),
        )

    @rule()
    def fail(self) -> None:
        self._obeyed(
            "ProviderConnectionFailed", self.connection.mark_failed("timeout", now=self.later())
        )

    @rule()
    def expire(self) -> None:
        self._obeyed("ProviderConnectionExpired", self.connection.mark_expired(now=self.later()))

    @rule()
    def revoke(self) -> None:
        self._obeyed("ProviderConnectionRevoked", self.connection.mark_revoked(now=self.later()))

    @rule()
    def sync(self) -> None:
        self._obeyed("ProviderConnectionSynced", self.connection.record_sync(now=self.later()))

    @rule()
    def disconnect(self) -> None:
        self._obeyed(
            "ProviderDisconnectionSucceeded",
            self.connection.mark_disconnected(now=self.later()),
            refused=False,
        )

    @rule(snapshots=st.booleans())
    def save_and_load(self, snapshots: bool) -> None:
        connections = self.with_snapshots if snapshots else self.connections
        before = seen(self.connection)
        self.run(connections.save(self.connection))
        loaded = self.run(connections.get(self.connection.id))
        assert loaded.same_state_as(self.connection)
        assert seen(loaded) == before
        self.connection = loaded

    @invariant()
    def replayed_it_is_the_same(self) -> None:
        replayed = ProviderConnection.blank(self.connection.id)
        for event in self.history:
            replayed.record(event)
        kept = {name: fact for name, fact in seen(self.connection).items() if name != "credentials"}
        assert {name: fact for name, fact in seen(replayed).items() if name != "credentials"} == (
            kept
        )

    @invariant()
    def credentials_are_there_exactly_while_they_may_be(self) -> None:
        without = {ConnectionStatus.PENDING, ConnectionStatus.FAILED, ConnectionStatus.DISCONNECTED}
        assert (self.connection.credentials is None) is (self.connection.status in without)

    def _obeyed(
        self, kind: str, answer: Result[None, ProviderConnectionError], *, refused: bool = True
    ) -> None:
        """The answer is that of the table; what was recorded is added to the history."""
        status, recorded = ConnectionStatus.PENDING, self.history[1:]
        for event in recorded:
            status = TRANSITIONS[status][type(event)]
        allowed = KINDS[kind] in TRANSITIONS[status]
        assert is_successful(answer) is (allowed or not refused)
        stored = self.connection.version
        fresh = self.connection.pending_events[len(self.history) - stored :]
        assert [type(event).__name__ for event in fresh] == ([kind] if allowed else [])
        self.history += fresh


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
