"""Credentials are opaque, checked, and never shown."""

import pickle
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from dashtam_events.connection import CredentialType, ProviderCredentials
from dashtam_events.connection._sealed import pack, unpack
from dashtam_events.errors import DecodingError, FutureSchemaVersion
from tests.connection.lives import FIRST, HOUR, NOW

LASTING = ProviderCredentials(b"\x00\xff", CredentialType.API_KEY)


def test_the_kinds_of_credentials() -> None:
    assert [kind.value for kind in CredentialType] == [
        "oauth2",
        "api_key",
        "link_token",
        "certificate",
        "file_import",
        "custom",
    ]


def test_the_repr_shows_a_length_and_never_the_blob() -> None:
    assert repr(FIRST) == (
        "ProviderCredentials(encrypted_data=<10 bytes>, credential_type='oauth2', "
        f"expires_at={FIRST.expires_at!r})"
    )


def test_they_do_not_change() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        FIRST.encrypted_data = b""  # type: ignore[misc]  # what is tested


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"encrypted_data": b""}, "encrypted_data must be bytes, and not empty"),
        ({"encrypted_data": "s3cret"}, "encrypted_data must be bytes, and not empty"),
        ({"credential_type": "telepathy"}, "is not a valid CredentialType"),
        ({"expires_at": datetime(2025, 1, 1)}, "expires_at must be aware"),  # noqa: DTZ001
    ],
)
def test_they_refuse(wrong: dict[str, Any], sentence: str) -> None:
    given: dict[str, Any] = {"encrypted_data": b"x", "credential_type": CredentialType.OAUTH2}
    with pytest.raises(ValueError, match=sentence) as caught:
        ProviderCredentials(**(given | wrong))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("later", "expired", "soon", "left"),
    [
        (timedelta(0), False, False, HOUR),
        (HOUR - timedelta(minutes=5, seconds=1), False, False, timedelta(minutes=5, seconds=1)),
        (HOUR - timedelta(minutes=5), False, True, timedelta(minutes=5)),
        (HOUR, True, True, timedelta(0)),
        (2 * HOUR, True, True, timedelta(0)),
    ],
)
def test_they_lapse(later: timedelta, expired: bool, soon: bool, left: timedelta) -> None:
    assert FIRST.is_expired(NOW + later) is expired
    assert FIRST.is_expiring_soon(now=NOW + later) is soon
    assert FIRST.time_until_expiry(NOW + later) == left


def test_without_a_date_they_never_lapse() -> None:
    assert not LASTING.is_expired()
    assert not LASTING.is_expiring_soon(timedelta(days=99999))
    assert LASTING.time_until_expiry() is None


def test_without_a_time_the_present_is_meant() -> None:
    assert FIRST.is_expired()
    assert FIRST.is_expiring_soon()
    assert FIRST.time_until_expiry() == timedelta(0)


@pytest.mark.parametrize("kind", CredentialType)
def test_only_oauth_is_refreshed_without_the_user(kind: CredentialType) -> None:
    refreshed = ProviderCredentials(b"x", kind).supports_refresh()
    assert refreshed is (kind is CredentialType.OAUTH2)


@pytest.mark.parametrize("credentials", [FIRST, LASTING, None])
def test_what_was_packed_is_unpacked(credentials: ProviderCredentials | None) -> None:
    assert unpack(pack(credentials)) == credentials


def test_the_packed_form_stays_what_it_is() -> None:
    assert pack(FIRST) == (
        b'{"credential_type":"oauth2","encrypted_data":"Zmlyc3QgYmxvYg==",'
        b'"expires_at":"2025-03-01T13:00:00+00:00","version":1}'
    )


PACKED = pack(FIRST) or b""


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        PACKED + b" ",
        PACKED.replace(b'"version":1', b'"version":"1"'),
        PACKED.replace(b'"version":1', b'"version":true'),
        PACKED.replace(b'"version":1', b'"version":0'),
        PACKED.replace(b"oauth2", b"telepathy"),
        PACKED.replace(b"Zmlyc3Qg", b"Zml!c3Qg"),
        PACKED.replace(b'"Zmlyc3QgYmxvYg=="', b'""'),
        PACKED.replace(b'"Zmlyc3QgYmxvYg=="', b"12"),
        PACKED.replace(b"+00:00", b""),
        PACKED.replace(b"+00:00", b"Z"),
        PACKED.replace(b'"expires_at"', b'"expires"'),
        PACKED.replace(b'"version"', b'"more":1,"version"'),
    ],
)
def test_damaged_bytes_are_refused_without_showing_them(damaged: bytes) -> None:
    with pytest.raises(DecodingError) as caught:
        unpack(damaged)
    assert "Zmlyc3Qg" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_newer_form_asks_for_an_upgrade() -> None:
    with pytest.raises(FutureSchemaVersion, match="version 2 is newer than 1; upgrade"):
        unpack(PACKED.replace(b'"version":1', b'"version":2'))
