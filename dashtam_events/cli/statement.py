"""Statement files: OFX in, accounts and transactions out, and the events of an import.

The files come from anywhere, so nothing in them is trusted: size, nesting and numbers are checked
around the parser, and whatever it raises becomes one stable reason.
"""

import io
import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs

from dashtam_events.catalogue import (
    FileImportAttempted,
    FileImportFailed,
    FileImportProgress,
    FileImportSucceeded,
)
from dashtam_events.errors import DashtamEventsError, MissingExtra

try:
    from ofxparse import OfxParser
except ImportError as _absent:
    raise MissingExtra("cli") from _absent

__all__ = [
    "MAX_BYTES",
    "Account",
    "ImportEvent",
    "Transaction",
    "UnreadableStatement",
    "import_events",
    "read_statement",
]

MAX_BYTES = 1024 * 1024
"""The largest file that is read: some thousands of transactions, in a few seconds."""

ImportEvent = FileImportAttempted | FileImportProgress | FileImportSucceeded | FileImportFailed

_FORMATS = frozenset({"ofx", "qfx", "qif", "csv"})
_AGGREGATES = re.compile(
    rb"<(/?)(OFX|STMTRS|CCSTMTRS|INVSTMTRS|STMTTRN|INVBANKTRAN)>", re.IGNORECASE
)
_MAX_VALUE_BYTES = 4096
_MAX_NUMBER_CHARACTERS = 40
_MAX_AMOUNT = Decimal(10) ** 18
_PROGRESS_STEPS = 10


class UnreadableStatement(DashtamEventsError, ValueError):
    """A statement file was refused.

    `reason` is `empty_file`, `file_too_large`, `unsupported_format`, `malformed_file` or
    `unreadable_file`; it never quotes the file.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the statement cannot be read: {self.reason}"


@attrs.frozen(kw_only=True)
class Transaction:
    """One booking of an account.

    `amount` is signed and exact (negative: money went out), `posted_at` aware and in UTC;
    `reference` is the bank's own id of it, unique within the account.
    """

    reference: str
    posted_at: datetime
    amount: Decimal
    kind: str
    description: str


@attrs.frozen(kw_only=True)
class Account:
    """An account of a statement, with its transactions in the order of the file.

    `currency` is an ISO 4217 code in capitals, or empty where the file does not say; `balance`
    is the ledger balance, or None.
    """

    number: str
    institution: str
    currency: str
    balance: Decimal | None
    transactions: tuple[Transaction, ...]


def read_statement(path: Path) -> tuple[Account, ...]:
    """The accounts of an OFX file (version 1 in SGML, version 2 in XML).

    Raises:
        UnreadableStatement: the file is missing, empty, too large, of another format or broken.
    """
    content = _content(path)
    try:
        with warnings.catch_warnings():
            # The parser calls methods of BeautifulSoup by their old names.
            warnings.simplefilter("ignore")
            parsed: Any = _StrictParser.parse(io.BytesIO(content))
        accounts = tuple(_account(account) for account in parsed.accounts)
    except Exception:  # noqa: BLE001  # on broken input the parser raises whatever comes up
        # Not chained: the parser's messages quote the file.
        raise UnreadableStatement("malformed_file") from None
    if not accounts:
        raise UnreadableStatement("malformed_file")
    return accounts


def import_events(path: Path, *, user_id: UUID, provider_slug: str) -> Iterator[ImportEvent]:
    """The events of an import, as it goes on.

    First always one `FileImportAttempted`; then `FileImportProgress` about every tenth of the
    file and one `FileImportSucceeded`, or exactly one `FileImportFailed`. No file makes it raise.

    Args:
        path: the file; its name without the folder goes into the events.
        user_id: whose statement it is.
        provider_slug: the institution that the user says it is from.
    """
    suffix = path.suffix.lower().removeprefix(".")
    about: dict[str, Any] = {
        "user_id": user_id,
        "provider_slug": provider_slug,
        "file_name": path.name,
        "file_format": suffix if suffix in _FORMATS else "ofx",
    }
    yield FileImportAttempted(**about)
    try:
        accounts = read_statement(path)
    except UnreadableStatement as refusal:
        yield FileImportFailed(reason=refusal.reason, **about)
        return
    total = sum(len(account.transactions) for account in accounts)
    for done in _milestones(total):
        yield FileImportProgress(
            progress_percent=100 * done // total,
            records_processed=done,
            total_records=total,
            **about,
        )
    yield FileImportSucceeded(account_count=len(accounts), transaction_count=total, **about)


def _milestones(total: int) -> list[int]:
    """After how many of `total` records an import says how far it is; the last is `total`."""
    steps = min(total, _PROGRESS_STEPS)
    return [total * step // steps for step in range(1, steps + 1)]


def _content(path: Path) -> bytes:
    """The bytes of a file as the parser can take them.

    Raises:
        UnreadableStatement: it is plain from the outside that they are no statement.
    """
    content = _read(path)
    if not content.strip():
        raise UnreadableStatement("empty_file")
    if len(content) > MAX_BYTES:
        raise UnreadableStatement("file_too_large")
    if b"<OFX>" not in content.upper():
        raise UnreadableStatement("unsupported_format")
    if not _well_nested(content) or max(map(len, content.split(b"<"))) > _MAX_VALUE_BYTES:
        raise UnreadableStatement("malformed_file")
    return _with_header(content)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError):
        # ValueError: the name itself is none (a null character).
        raise UnreadableStatement("unreadable_file") from None


def _well_nested(content: bytes) -> bool:
    """Whether the aggregates are closed and not within themselves: a file cut short is not read."""
    opened: set[bytes] = set()
    for closing, name in _AGGREGATES.findall(content):
        if bool(closing) != (name.upper() in opened):
            return False
        opened ^= {name.upper()}
    return not opened


def _with_header(content: bytes) -> bytes:
    """XML has no OFX header, and the parser would read it as ASCII: say that it is UTF-8."""
    if re.match(rb"\s*OFXHEADER\s*:", content):
        return content.lstrip()
    return b"OFXHEADER:100\nENCODING:UTF-8\n\n" + content[content.index(b"<") :]


class _StrictParser(OfxParser):  # type: ignore[misc]  # the base class has no types
    @classmethod
    def toDecimal(cls, tag: Any) -> Decimal:  # noqa: N802  # the parser's own name for it
        """Refuse a number before the parser's expressions, slow on long ones, look at it."""
        if len(tag.contents[0].strip()) > _MAX_NUMBER_CHARACTERS:
            raise UnreadableStatement("malformed_file")
        return _checked(super().toDecimal(tag))


def _checked(amount: Decimal) -> Decimal:
    if not amount.is_finite() or abs(amount) >= _MAX_AMOUNT:
        raise UnreadableStatement("malformed_file")
    return amount


def _account(parsed: Any) -> Account:
    statement = parsed.statement
    booked = (item for item in statement.transactions if hasattr(item, "amount"))
    return Account(
        number=parsed.account_id,
        institution=parsed.institution.organization if parsed.institution else "",
        currency=(parsed.curdef or statement.currency).upper(),
        balance=getattr(statement, "balance", None),
        transactions=tuple(_transaction(item) for item in booked),
    )


def _transaction(parsed: Any) -> Transaction:
    return Transaction(
        reference=parsed.id,
        # The parser has taken the file's offset off; what is left is UTC.
        posted_at=parsed.date.replace(tzinfo=UTC),
        amount=Decimal(parsed.amount),
        kind=parsed.type,
        description=parsed.payee or parsed.memo,
    )
