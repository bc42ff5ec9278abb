"""Statement files: what is read from good ones, and that no file at all makes an import raise."""

import pickle
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_events.catalogue import (
    FileImportAttempted,
    FileImportFailed,
    FileImportProgress,
    FileImportSucceeded,
)
from dashtam_events.cli.statement import (
    MAX_BYTES,
    ImportEvent,
    UnreadableStatement,
    import_events,
    read_statement,
)
from tests.cli.running import STATEMENTS

USER = uuid4()
GOOD = ("checking", "fidelity-savings", "stmtrs", "suncorp")
REASONS = {
    *("empty_file", "file_too_large", "unsupported_format", "malformed_file", "unreadable_file")
}
SMALL = b"""OFXHEADER:100
ENCODING:USASCII
CHARSET:1252

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>EUR
<BANKACCTFROM><BANKID>1<ACCTID>42<ACCTTYPE>CHECKING</BANKACCTFROM><BANKTRANLIST>
<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20260105120000[+2:EET]<TRNAMT>-12.50<FITID>1<NAME>Bakery</STMTTRN>
</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""


def imported(path: Path) -> list[ImportEvent]:
    return list(import_events(path, user_id=USER, provider_slug="first_bank"))


def reason(path: Path) -> str:
    """Why an import failed; that it did, and told so properly, is asserted."""
    attempted, failed = imported(path)
    assert isinstance(attempted, FileImportAttempted)
    assert isinstance(failed, FileImportFailed)
    return failed.reason


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.ofx"


def test_what_a_good_statement_says_is_read_exactly() -> None:
    (account,) = read_statement(STATEMENTS / "checking.ofx")
    assert (account.number, account.institution, account.currency) == ("1452687~7", "FAKE", "USD")
    assert account.balance == Decimal("100.99")
    assert [str(each.amount) for each in account.transactions] == ["0.01", "-34.51", "-25.00"]
    last = account.transactions[-1]
    assert (last.reference, last.kind) == ("0000488", "check")
    assert last.posted_at == datetime(2011, 4, 7, 12, tzinfo=UTC)
    assert last.description == "RETURNED CHECK FEE, CHECK # 319"


def test_the_bookings_of_an_investment_account_are_read() -> None:
    (account,) = read_statement(STATEMENTS / "fidelity-savings.ofx")
    assert (account.institution, account.currency) == ("fidelity.com", "USD")
    assert sum(each.amount for each in account.transactions) == Decimal("-1778.3952")


@pytest.mark.parametrize(("name", "count"), list(zip(GOOD, (3, 4, 2, 1), strict=True)))
def test_a_good_statement_is_attempted_read_and_succeeds(name: str, count: int) -> None:
    first, *middle, last = imported(STATEMENTS / f"{name}.ofx")
    assert isinstance(first, FileImportAttempted)
    assert isinstance(last, FileImportSucceeded)
    assert (last.account_count, last.transaction_count) == (1, count)
    progress = [each for each in middle if isinstance(each, FileImportProgress)]
    assert len(progress) == len(middle) == count
    assert [each.records_processed for each in progress] == list(range(1, count + 1))
    assert progress[-1].progress_percent == 100
    about = {(e.user_id, e.provider_slug, e.file_name, e.file_format) for e in (first, last)}
    assert about == {(USER, "first_bank", f"{name}.ofx", "ofx")}


def test_a_broken_statement_ends_in_one_failure_that_does_not_quote_it() -> None:
    assert reason(STATEMENTS / "decimal_error.ofx") == "malformed_file"
    with pytest.raises(UnreadableStatement) as caught:
        read_statement(STATEMENTS / "decimal_error.ofx")
    assert "120" not in f"{caught.value!r} {caught.value}"
    assert caught.value.__suppress_context__


def test_an_offset_is_taken_into_account(file: Path) -> None:
    file.write_bytes(SMALL)
    assert read_statement(file)[0].transactions[0].posted_at.hour == 10


def test_text_beyond_ascii_is_read(file: Path) -> None:
    body = SMALL[SMALL.index(b"<OFX>") :].replace(b"Bakery", "Bäckerei €".encode())
    file.write_bytes(b'<?xml version="1.0" encoding="UTF-8"?>\n' + body)
    assert read_statement(file)[0].transactions[0].description == "Bäckerei €"
    file.write_bytes(SMALL.replace(b"Bakery", "Bäckerei €".encode("cp1252")))
    assert read_statement(file)[0].transactions[0].description == "Bäckerei €"


def test_a_long_statement_says_how_far_it_is_ten_times(file: Path) -> None:
    one = SMALL[SMALL.index(b"<STMTTRN>") : SMALL.index(b"</BANKTRANLIST>")]
    file.write_bytes(SMALL.replace(one, one * 137))
    _, *progress, last = imported(file)
    assert [each.progress_percent for each in progress if isinstance(each, FileImportProgress)] == [
        *(9, 19, 29, 39, 49, 59, 69, 79, 89, 100)
    ]
    assert isinstance(last, FileImportSucceeded)
    assert last.transaction_count == 137


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty_file"),
        (b" \r\n\t", "empty_file"),
        (b"\x00" * 100, "unsupported_format"),
        (b"Date,Amount\n2026-01-05,-12.50\n", "unsupported_format"),
        (SMALL.decode().encode("utf-16"), "unsupported_format"),
        (SMALL + b" " * MAX_BYTES, "file_too_large"),
        (SMALL[: len(SMALL) // 2], "malformed_file"),
        (SMALL[: SMALL.index(b"</OFX>")], "malformed_file"),
        (b"<OFX></OFX>", "malformed_file"),
        (SMALL.replace(b"-12.50", b"twelve"), "malformed_file"),
        (SMALL.replace(b"-12.50", b"NaN"), "malformed_file"),
        (SMALL.replace(b"-12.50", b"Infinity"), "malformed_file"),
        (SMALL.replace(b"-12.50", b"1E999999999"), "malformed_file"),
        (SMALL.replace(b"-12.50", b"9" * 40), "malformed_file"),
        (SMALL.replace(b"-12.50", b"." * 4000), "malformed_file"),
        (SMALL.replace(b"20260105", b"20261399"), "malformed_file"),
        (SMALL.replace(b"Bakery", b"B" * 5000), "malformed_file"),
        (SMALL.replace(b"CHARSET:1252", b"CHARSET:klingon"), "malformed_file"),
        (SMALL.replace(b"USASCII", b"EBCDIC"), "malformed_file"),
        (SMALL.replace(b"<STMTTRN>", b"<STMTTRN>" * 1000), "malformed_file"),
    ],
)
def test_what_is_no_statement_is_refused_with_a_stable_reason(
    file: Path, content: bytes, why: str
) -> None:
    file.write_bytes(content)
    assert reason(file) == why


def test_entities_are_not_expanded(file: Path) -> None:
    entities = [b'<!ENTITY a0 "lol">'] + [
        b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)
    ]
    body = SMALL[SMALL.index(b"<OFX>") :].replace(b"Bakery", b"&a9;")
    file.write_bytes(b"<?xml version='1.0'?><!DOCTYPE x [%s]>%s" % (b"".join(entities), body))
    last = imported(file)[-1]
    assert isinstance(last, FileImportSucceeded | FileImportFailed)
    if isinstance(last, FileImportSucceeded):
        assert len(read_statement(file)[0].transactions[0].description) < 100


@pytest.mark.parametrize("name", ["missing.ofx", "", "nul\0byte.ofx"])
def test_a_file_that_cannot_be_opened_is_a_failure_too(tmp_path: Path, name: str) -> None:
    assert reason(tmp_path / name) == "unreadable_file"


def test_the_format_is_the_one_of_the_name(tmp_path: Path) -> None:
    formats = {name: imported(tmp_path / name)[0].file_format for name in ("a.QFX", "a.csv", "a")}
    assert formats == {"a.QFX": "qfx", "a.csv": "csv", "a": "ofx"}


def test_a_refusal_pickles() -> None:
    assert pickle.loads(pickle.dumps(UnreadableStatement("empty_file"))).reason == "empty_file"


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good statement with some of its bytes exchanged."""
    content = bytearray((STATEMENTS / f"{draw(st.sampled_from(GOOD))}.ofx").read_bytes())
    put = st.binary(max_size=20) | st.sampled_from(
        [b"<", b">", b"</OFX>", b"<STMTTRN>", b"&a;", b"\xff\xfe", b"9" * 50]
    )
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 40))] = draw(put)
    return bytes(content)


@settings(max_examples=300, deadline=None)
@given(content=mutated() | st.binary(max_size=300))
def test_no_file_makes_an_import_raise_or_end_twice(scratch: Path, content: bytes) -> None:
    scratch.write_bytes(content)
    first, *middle, last = imported(scratch)
    assert isinstance(first, FileImportAttempted)
    assert all(isinstance(each, FileImportProgress) for each in middle)
    assert isinstance(last, FileImportSucceeded | FileImportFailed)
    if isinstance(last, FileImportFailed):
        assert not middle
        assert last.reason in REASONS


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutated") / "mutated.ofx"
