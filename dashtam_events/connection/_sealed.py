"""Credentials as the bytes that are kept beside a stream, and back; strict in both directions."""

import json
from base64 import b64decode, b64encode
from datetime import datetime
from typing import Any

from dashtam_events.connection.credentials import ProviderCredentials
from dashtam_events.errors import DecodingError, FutureSchemaVersion

__all__ = ["pack", "unpack"]

_NAME = ProviderCredentials.__name__
_VERSION = 1
_FIELDS = {"version", "encrypted_data", "credential_type", "expires_at"}


def pack(credentials: ProviderCredentials | None) -> bytes | None:
    """The canonical form: JSON with sorted keys; None where there are none."""
    if credentials is None:
        return None
    expires_at = credentials.expires_at
    raw = {
        "version": _VERSION,
        "encrypted_data": b64encode(credentials.encrypted_data).decode(),
        "credential_type": credentials.credential_type.value,
        "expires_at": None if expires_at is None else expires_at.isoformat(),
    }
    return json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()


def unpack(data: bytes | None) -> ProviderCredentials | None:
    """What `pack` wrote.

    Raises:
        DecodingError: the bytes are something else; the error does not hold on to them.
        FutureSchemaVersion: a newer release wrote them.
    """
    if data is None:
        return None
    raw = _parsed(data)
    if not isinstance(raw, dict) or type(raw.get("version")) is not int:
        raise DecodingError(_NAME, ".version", "a number")
    if raw["version"] > _VERSION:
        raise FutureSchemaVersion(_NAME, raw["version"], _VERSION)
    credentials = _structured(raw) if raw.keys() == _FIELDS else None
    if credentials is None or pack(credentials) != data:
        raise DecodingError(_NAME, "", "credentials in their canonical form")
    return credentials


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        # To raise here would chain the parser's error, which holds the whole document.
        return None


def _structured(raw: dict[str, Any]) -> ProviderCredentials | None:
    expires_at = raw["expires_at"]
    try:
        return ProviderCredentials(
            encrypted_data=b64decode(raw["encrypted_data"], validate=True),
            credential_type=raw["credential_type"],
            expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
        )
    except (TypeError, ValueError):
        return None
