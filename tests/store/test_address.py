"""No error shows a password, whatever stands in it and wherever it was forgotten to encode it."""

import asyncio
import string
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import cache
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dashtam_events.adapters.audit import AuditLog
from dashtam_events.store._address import check_address
from dashtam_events.store.postgres import PostgresEventStore, migrate
from dashtam_events.subscriptions.sql import SQLCheckpointStore
from dashtam_events.testing._store_samples import CONTRACT_EVENTS
from tests.cli.running import call

Opened = AbstractAsyncContextManager[object]

COMMANDS: tuple[Callable[[str], tuple[str, ...]], ...] = (
    lambda address: ("migrate", address),
    lambda address: ("parked", address, "list"),
    lambda address: ("audit", address),
    lambda address: ("log", address),
    lambda address: ("stream", address, "a-b"),
    lambda address: ("copy", "sqlite:///missing.db", address),
    lambda address: ("copy", address, "sqlite:///missing.db"),
)
KEPT_APART = "/@#?[]%"
SECRETS = (
    "SECRET/x", "SECRET#x", "SECRET?x", "SECRET[x", "x]SECRET", "SECRET%zz", "SECRET@x",
    "1/SECRET", "1#SECRET", "1?SECRET", "1?x=SECRET", "x@y/SECRET", "SECRET\u2100", "SEC:RET",
)  # fmt: skip


def _store(address: str) -> Opened:
    return PostgresEventStore(address, registry=CONTRACT_EVENTS, connect_timeout=2)


async def _use(open_at: Callable[[str], Opened], address: str) -> None:
    async with open_at(address) as opened:
        if isinstance(opened, SQLCheckpointStore):
            await opened.load("nobody")
        if isinstance(opened, AuditLog):
            await opened.page()


OPENINGS: tuple[Callable[[str], Opened], ...] = (_store, SQLCheckpointStore.open, AuditLog.open)


def _address(password: str) -> str:
    return f"postgresql://ann:{password}@127.0.0.1:1/db"


def _errors(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _told(open_at: Callable[[str], Opened], address: str) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # what it shows is asked, not its kind
        asyncio.run(_use(open_at, address))
    shown = [f"{each!r} {each} {each.args}" for each in _errors(caught.value)]
    return "\n".join([*shown, *traceback.format_exception_only(caught.value)])


def _printed(command: Callable[[str], tuple[str, ...]], address: str) -> str:
    result = call(*command(address))
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit), "a traceback"
    return result.output


def _all_that_is_said(password: str) -> str:
    address = _address(password)
    told = [_told(open_at, address) for open_at in OPENINGS]
    return "\n".join(told + [_printed(command, address) for command in COMMANDS])


@cache
def _harmless() -> str:
    """What is said without a secret: only chance could bring a password into it."""
    return "\n".join(_all_that_is_said(each).replace(each, "") for each in ("zzzz", "zz/z"))


@pytest.mark.parametrize("password", SECRETS)
def test_no_part_of_a_password_is_shown(password: str) -> None:
    said = _all_that_is_said(password)
    for part in ("SECRET", "SEC", "RET"):
        assert part not in said


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=4, max_size=24))
def test_no_error_shows_the_password_of_an_address(password: str) -> None:
    assume(password not in _harmless())
    assert password not in _all_that_is_said(password)


@pytest.mark.parametrize("sign", KEPT_APART)
def test_an_address_in_which_a_sign_stands_for_itself_is_refused_in_one_sentence(sign: str) -> None:
    for command in COMMANDS:
        [line] = [
            line for line in _printed(command, _address(f"SEC{sign}RET")).splitlines() if line
        ]
        assert "percent-encode" in line
    with pytest.raises(ValueError, match="percent-encode") as refused:
        _store(_address(f"SEC{sign}RET"))
    assert list(_errors(refused.value)) == [refused.value]
    with pytest.raises(ValueError, match="percent-encode"):
        asyncio.run(migrate(_address(f"SEC{sign}RET")))


@given(st.text(string.printable, max_size=24))
def test_an_encoded_password_is_never_refused(password: str) -> None:
    check_address(_address(quote(password, safe="")))


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://",
        "postgresql:///db",
        "postgresql://ann@/db?host=/var/run/postgresql",
        "postgresql+asyncpg://ann:a:b@one:1,two:2,three:3/db?sslmode=verify-full",
        "postgresql://[fe80::1]:5432/db?host=a,b&port=1,2",
        "mysql+aiomysql://ann:x@there/db?charset=utf8mb4",
    ],
)
def test_what_can_be_read_is_an_address(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://there:99999/db",
        "postgresql://there:\u0661/db",
        "postgresql://one,,two/db",
        "postgresql://there/db?port=x",
        "postgresql://there/db?host=a,,b",
        "postgresql://there/db?x",
        "postgresql://there/db\nx",
    ],
)
def test_what_cannot_be_read_is_none(address: str) -> None:
    with pytest.raises(ValueError, match="percent-encode"):
        check_address(address)


def test_a_password_behind_the_question_mark_is_not_shown_either() -> None:
    address = "postgresql://127.0.0.1:1/db?user=ann&password=SECRET"
    for open_at in OPENINGS:
        assert "SECRET" not in _told(open_at, address)
    for command in COMMANDS:
        assert "SECRET" not in _printed(command, address)
