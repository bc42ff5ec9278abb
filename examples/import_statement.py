"""Import bank statements: read OFX, and show the progress live to the user who handed it in.

Run it with the path of a statement, or without one: then it imports a good and a broken file.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from uuid import UUID, uuid4

from dashtam_events import (
    CATALOGUE,
    DomainEvent,
    FileImportSucceeded,
    InMemoryEventBus,
    SQLiteEventStore,
    SSEEvent,
    StreamId,
)
from dashtam_events.cli.statement import import_events, read_statement

GOOD = """OFXHEADER:100
DATA:OFXSGML
VERSION:102
ENCODING:USASCII
CHARSET:1252

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>
<CURDEF>EUR
<BANKACCTFROM><BANKID>1<ACCTID>42<ACCTTYPE>CHECKING</BANKACCTFROM>
<BANKTRANLIST>
<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20260105<TRNAMT>-12.50<FITID>1<NAME>Bakery</STMTTRN>
<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20260131<TRNAMT>2000.00<FITID>2<NAME>Salary</STMTTRN>
</BANKTRANLIST>
</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""
BROKEN = GOOD.replace("-12.50", "$12.50")


async def show_live(event: DomainEvent) -> None:
    """A handler that writes what the user's browser would receive."""
    told = SSEEvent.from_event(event)
    if told is not None:
        print(told.to_sse_format(), end="")


async def import_file(path: Path, user_id: UUID, store: SQLiteEventStore) -> None:
    """Store each step of the import, and tell it as soon as it is stored."""
    bus = InMemoryEventBus()
    bus.subscribe(CATALOGUE.by_workflow("file_import"), show_live)
    stream = StreamId("file_import", uuid4())
    for event in import_events(path, user_id=user_id, provider_slug="first_bank"):
        await store.append(stream, [event])
        await bus.publish(event)
        if isinstance(event, FileImportSucceeded):
            for account in read_statement(path):
                moved = sum(each.amount for each in account.transactions)
                print(f"imported: account {account.number}, {moved:+} {account.currency}\n")


async def main(folder: Path) -> None:
    """Import what the command line names, or one file that is good and one that is broken."""
    paths = [Path(argument) for argument in sys.argv[1:]]
    if not paths:
        paths = [folder / "good.ofx", folder / "broken.ofx"]
        for path, text in zip(paths, (GOOD, BROKEN), strict=True):
            path.write_text(text, encoding="ascii")
    async with SQLiteEventStore(folder / "events.db", registry=CATALOGUE) as store:
        for path in paths:
            await import_file(path, uuid4(), store)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
