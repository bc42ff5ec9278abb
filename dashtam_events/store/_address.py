"""The address of a database, looked at before anything reads it: it may hold a password.

What reads an address that is none (the standard library, the driver, SQLAlchemy) quotes it in its
error. Where a name or a password holds a sign that has a meaning of its own, a part of the
password may also be taken for the host or the database, and shown as such.
"""

import re
from urllib.parse import parse_qs, urlsplit

__all__ = ["check_address", "printable"]

_UNREADABLE = (
    "the address cannot be read: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and "
    "percent-encode what stands in a name or password: / as %2F, @ as %40, : as %3A, # as %23, "
    "? as %3F, % as %25, [ as %5B, ] as %5D"
)
_SCHEME = re.compile(r"[a-z0-9_]+(?:\+[a-z0-9_]+)?://")
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"(?:\[[^\[\]]+\]|[^:\[\]]*)(?::([0-9]*))?")
_LAST_PORT = 65535


def check_address(address: str) -> None:
    """Refuse an address that cannot be read in one way only; says nothing of what it is.

    Several hosts, separated by commas, are an address too.

    Raises:
        ValueError: it cannot be read so; there is no other error behind this one.
    """
    if not _is_readable(address):
        raise ValueError(_UNREADABLE)


def printable(address: str) -> str:
    """An address of PostgreSQL as it may be printed: without a user, a password or options."""
    parts = urlsplit(address)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _is_readable(address: str) -> bool:
    try:
        parts = urlsplit(address)
        fields = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError:
        return False
    user, _, hosts = parts.netloc.rpartition("@")
    return (
        address.isprintable()
        and _SCHEME.match(address) is not None
        and "#" not in address
        and _BARE_PERCENT.search(address) is None
        and "@" not in user + parts.path + parts.query
        and "[" not in user
        and "]" not in user
        and (not hosts or all(map(_is_host, hosts.split(","))))
        and all(fields.get("host", ["there"])[-1].split(","))
        and all(map(_is_port, fields.get("port", ["0"])[-1].split(",")))
    )


def _is_host(host: str) -> bool:
    found = _HOST.fullmatch(host)
    return bool(host) and found is not None and _is_port(found[1] or "0")


def _is_port(port: str) -> bool:
    return (
        port.isascii()
        and port.isdigit()
        and len(port) <= len(str(_LAST_PORT))
        and (int(port) <= _LAST_PORT)
    )
