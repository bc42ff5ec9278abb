"""What the tests of the adapters share."""

import socket

import pytest


@pytest.fixture(autouse=True)
def no_name_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SMTP client asks what this machine is called; the answer may take seconds."""
    monkeypatch.setattr(socket, "getfqdn", lambda name="": "localhost")
