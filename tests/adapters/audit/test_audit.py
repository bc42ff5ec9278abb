"""Audit records are written with what they tell of, once, and stay as they are."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import attrs
import pytest
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
)

from dashtam_events.adapters.audit import (
    AuditEventHandler,
    AuditLog,
    canonical_bytes,
    leaf_hash,
)
from dashtam_events.bus import EventContext
from dashtam_events.catalogue import (
    CATALOGUE,
    GlobalTokenRotationAttempted,
    ProviderConnectionSucceeded,
    RateLimitCheckDenied,
    TokenRejectedDueToRotation,
    UserLoginAttempted,
    UserLoginFailed,
    UserLoginSucceeded,
    UserPasswordChangeSucceeded,
)
from dashtam_events.declaration import Audit, Phase
from dashtam_events.errors import (
    AuditNotRecorded,
    SessionRequired,
)
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal
from tests.adapters.audit.trails import REQUEST, all_of, audited_bus, everything_in, only, record
from tests.adapters.marked import marked

NEVER_NULL = (
    *("actor", "user_id", "action", "occurred_at", "outcome", "ip_address"),
    *("resource_type", "resource_id"),
)


async def test_a_record_says_who_what_when_with_what_outcome_from_where_and_on_what(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    fact = ProviderConnectionSucceeded(
        user_id=uuid4(), connection_id=uuid4(), provider_id=uuid4(), provider_slug="schwab"
    )
    before = datetime.now(UTC)
    await record(engine, fact)
    found = await only(trail)
    assert found.actor == found.user_id == str(fact.user_id)
    assert found.action == "PROVIDER_CONNECTED"
    assert found.occurred_at == fact.occurred_at
    assert found.outcome == "success"
    assert found.ip_address == "192.0.2.7"
    assert (found.resource_type, found.resource_id) == ("provider", str(fact.connection_id))
    assert (found.user_agent, found.correlation_id) == ("tests", "request-7")
    assert found.trace_id == REQUEST["trace_id"]
    assert before <= found.recorded_at <= datetime.now(UTC)
    assert json.loads(found.context) == {
        "event_id": str(fact.event_id),
        "provider_id": str(fact.provider_id),
        "provider_slug": "schwab",
        "credentials_expire_at": None,
    }


async def test_every_audited_event_of_the_catalogue_has_one_record_without_a_hole(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    facts = [marked(cls) for cls in CATALOGUE]
    await record(engine, *facts, metadata=None)
    found = {each.event_id: each for each in await all_of(trail)}
    audited = [fact for fact in facts if CATALOGUE.spec_of(type(fact)).audit]
    assert set(found) == {str(fact.event_id) for fact in audited}
    assert len(audited) == 72
    for each in found.values():
        assert all(getattr(each, name) for name in NEVER_NULL), each


@pytest.mark.parametrize(
    ("cls", "outcome"),
    [
        (UserLoginAttempted, "attempted"),
        (UserLoginSucceeded, "success"),
        (UserLoginFailed, "failure"),
        (RateLimitCheckDenied, "denied"),
        (TokenRejectedDueToRotation, "recorded"),
    ],
)
async def test_the_outcome_is_that_of_the_phase(
    engine: AsyncEngine, trail: AuditLog, cls: type[DomainEvent], outcome: str
) -> None:
    await record(engine, marked(cls))
    assert (await only(trail)).outcome == outcome


@pytest.mark.parametrize(
    ("cls", "metadata", "told"),
    [
        (GlobalTokenRotationAttempted, None, ("system", "system")),
        (GlobalTokenRotationAttempted, {"actor": "admin"}, ("admin", "system")),
        (GlobalTokenRotationAttempted, {"ip_address": "::1"}, ("unknown", "::1")),
        (UserLoginAttempted, None, ("unknown", "unknown")),
        (UserLoginAttempted, {"actor": "", "ip_address": ""}, ("unknown", "unknown")),
    ],
)
async def test_who_and_from_where_say_so_where_it_is_not_known(
    engine: AsyncEngine, trail: AuditLog, cls: Any, metadata: Any, told: tuple[str, str]
) -> None:
    await record(engine, marked(cls), metadata=metadata)
    found = await only(trail)
    assert (found.actor, found.ip_address) == told


async def test_who_acted_may_be_another_than_whom_it_was_done_to(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    fact = marked(UserPasswordChangeSucceeded)
    await record(engine, fact, metadata={"actor": "support"})
    found = await only(trail)
    assert (found.actor, found.user_id) == ("support", str(fact.user_id))


async def test_an_event_is_recorded_once_however_often_it_is_published(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    fact = marked(UserLoginSucceeded)
    await record(engine, fact, fact)
    first = await only(trail)
    await record(engine, fact, metadata=None, handler=AuditEventHandler(personal="apart"))
    assert await only(trail) == first
    assert "audit_personal" not in await everything_in(engine)


async def test_what_came_from_outside_is_cut_and_made_storable(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    await record(engine, marked(UserLoginSucceeded), metadata={"user_agent": "a\x00\ud800" * 999})
    agent = (await only(trail)).user_agent
    assert agent[:6] == "a\ufffd?a\ufffd?"
    assert len(agent) == 1_000


@event(audit=Audit("PARCEL_WEIGHED", resource="parcel", resource_id="parcel"))
class ParcelWeighed(DomainEvent):
    """An event of one's own, with values of every kind."""

    parcel: int
    weight: Decimal
    at: datetime
    ratio: float
    fragile: bool
    phase: Phase
    labels: tuple[str, ...]
    sizes: frozenset[int]
    owner: str = personal()


async def test_the_context_of_an_event_of_ones_own_is_canonical(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    fact = ParcelWeighed(
        parcel=7,
        weight=Decimal("1E+2"),
        at=datetime(2026, 1, 2, 3, tzinfo=UTC),
        ratio=float("inf"),
        fragile=True,
        phase=Phase.DENIED,
        labels=("b", "a\x00é"),
        sizes=frozenset({1}),
        owner="ann",
    )
    bus = audited_bus()
    bus.subscribe(ParcelWeighed, AuditEventHandler())
    async with AsyncSession(engine) as session, session.begin():
        await bus.publish(fact, session=session)
    found = await only(trail)
    assert found.context == (
        f'{{"at":"2026-01-02T03:00:00.000000Z","event_id":"{fact.event_id}","fragile":true,'
        '"labels":["b","a\ufffdé"],"phase":"denied","ratio":"inf","sizes":[1],"weight":"100"}'
    )
    assert (found.resource_id, found.user_id) == ("7", "unknown")


async def test_the_leaf_hash_is_that_of_the_row_as_it_is_read_back(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    await record(engine, *(marked(cls) for cls in CATALOGUE))
    await record(
        engine,
        *(marked(cls) for cls in CATALOGUE.audited()),
        metadata=None,
        handler=AuditEventHandler(personal="apart"),
    )
    found = await all_of(trail)
    assert len(found) == 144
    for each in found:
        told = hashlib.sha256(b"\x00" + canonical_bytes(each)).hexdigest()
        assert each.leaf_hash == told == leaf_hash(each)
    assert len({each.leaf_hash for each in found}) == 144


async def test_the_leaf_hash_covers_every_column_but_those_the_database_gives(
    engine: AsyncEngine, trail: AuditLog
) -> None:

    await record(engine, marked(UserLoginSucceeded))
    found = await only(trail)
    for field in attrs.fields(type(found)):
        if field.name in ("id", "leaf_hash", "personal"):
            continue
        value = getattr(found, field.name)
        other = value + timedelta(microseconds=1) if isinstance(value, datetime) else "other"
        assert leaf_hash(attrs.evolve(found, **{field.name: other})) != found.leaf_hash, field.name


async def test_what_is_rolled_back_leaves_no_record(engine: AsyncEngine, trail: AuditLog) -> None:
    async with AsyncSession(engine) as session:
        await audited_bus().publish(marked(UserLoginSucceeded), session=session)
        await session.rollback()
    assert await all_of(trail) == []


async def test_without_a_session_an_audited_event_is_refused_and_others_are_not() -> None:
    bus = audited_bus()
    for cls in CATALOGUE:
        if CATALOGUE.spec_of(cls).audit is None:
            await bus.publish(marked(cls))
            continue
        with pytest.raises(RuntimeError, match="session=session"):
            await bus.publish(marked(cls))
    with pytest.raises(SessionRequired):
        await AuditEventHandler()(marked(UserLoginSucceeded), EventContext())


async def test_personal_fields_are_not_kept_unless_asked_for(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    await record(engine, marked(UserLoginSucceeded, email="ann@example.com"))
    assert "ann" not in await everything_in(engine)
    found = await only(trail)
    assert (found.personal, found.personal_digest) == (None, None)


async def test_personal_fields_kept_apart_are_erased_and_the_proof_holds(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    apart = AuditEventHandler(personal="apart")
    ann, bob = marked(UserLoginSucceeded, email="ann@example.com"), marked(UserLoginSucceeded)
    await record(engine, ann, bob, handler=apart)
    (first, second) = await all_of(trail)
    assert json.loads(first.personal or "")["email"] == "ann@example.com"
    assert hashlib.sha256((first.personal or "").encode()).hexdigest() == first.personal_digest
    assert "ann@example.com" not in repr(first)
    assert await trail.erase(ann.user_id) == 1
    assert await trail.erase(ann.user_id) == 0
    (erased, kept) = await all_of(trail)
    assert erased.personal is None
    assert erased.leaf_hash == first.leaf_hash == leaf_hash(erased)
    assert kept == second
    assert "ann@example.com" not in await everything_in(engine)


async def test_an_event_without_personal_fields_has_nothing_kept_apart(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    fact = marked(UserPasswordChangeSucceeded)
    await record(engine, fact, handler=AuditEventHandler(personal="apart"))
    assert (await only(trail)).personal_digest is None


def test_personal_is_one_of_two_words() -> None:
    with pytest.raises(ValueError, match="'mask' or 'apart'"):
        AuditEventHandler(personal="keep")  # type: ignore[arg-type]


async def test_a_failed_record_aborts_the_publish_and_says_no_value(engine: AsyncEngine) -> None:
    """There are no tables."""
    async with AsyncSession(engine) as session:
        with pytest.raises(AuditNotRecorded) as caught:
            await audited_bus().publish(marked(UserLoginSucceeded), session=session)
        await session.rollback()
    code = {"sqlite": "SQLITE_ERROR", "postgresql": "42P01"}[engine.dialect.name]
    assert code in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
