"""Two services that share no code: one tells the other over HTTP, and each payment is booked once.

The bank records payments in its event store. A relay sends them to the ledger as CloudEvents, and
keeps its checkpoint in the bank's database. The ledger claims each event in its inbox, in the
transaction in which it books it.

Run it: every CloudEvent is sent twice, the ledger is killed in the middle and comes back, and in
the end all is sent once more, as after a restored backup. The ledger books each payment once.
"""

import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import uvicorn
from sqlalchemy import Column, MetaData, Numeric, Table, Uuid, func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashtam_events import DomainEvent, EventRegistry, Relay, SQLiteEventStore, StreamId, event
from dashtam_events.bus.session import real_savepoints
from dashtam_events.cloudevents import CONTENT_TYPE, CloudEventDecoder, CloudEventEncoder
from dashtam_events.codec import EventCodec
from dashtam_events.errors import CodecError
from dashtam_events.subscriptions import CloudEventPublisher, Retry
from dashtam_events.subscriptions.sql import Inbox, SQLCheckpointStore, create_subscription_tables

PREFIX = "com.example.bank."
PAYMENTS = 40


@event
class PaymentReceived(DomainEvent):
    """Money came in; `amount` is in EUR."""

    account_id: UUID
    amount: Decimal
    reference: str


BANK = EventCodec(EventRegistry([PaymentReceived]))


class Wire:
    """HTTP to the ledger; it sends everything twice, as a network may."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.sent = 0
        self.halfway = asyncio.Event()

    async def send(self, cloud_event: bytes) -> None:
        """Return when the ledger has it for good; see `CloudEventPublisher`."""
        for _ in range(2):
            answer = await self.client.post(
                "/events", content=cloud_event, headers={"content-type": CONTENT_TYPE}
            )
            if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
                raise ValueError("the ledger will never take it")
            answer.raise_for_status()
            self.sent += 1
        if self.sent >= PAYMENTS:
            self.halfway.set()


def relay(store: SQLiteEventStore, wire: Wire, engine: AsyncEngine, name: str) -> Relay:
    """What tells the ledger, from where it left off."""
    encoder = CloudEventEncoder(BANK, source="/bank/payments", type_prefix=PREFIX)
    return Relay(
        store,
        CloudEventPublisher(encoder, wire.send),
        name=name,
        checkpoints=SQLCheckpointStore(engine),
        batch_size=5,
        # By default it is patient: half a minute between the tries, for as long as it takes.
        retry=Retry(attempts=1_000, most=0.5),
    )


async def record(store: SQLiteEventStore) -> Decimal:
    """Record payments to a few accounts; what they come to."""
    accounts, total = [uuid4() for _ in range(4)], Decimal(0)
    for number in range(PAYMENTS):
        account, amount = accounts[number % 4], Decimal(f"{number}.50")
        paid = PaymentReceived(account_id=account, amount=amount, reference=f"no. {number}")
        await store.append(StreamId("account", account), [paid])
        total += amount
    return total


@event(name="PaymentReceived")
class Payment(DomainEvent):
    """What the ledger reads of the bank's event: it has no use for the rest."""

    amount: Decimal


LEDGER = CloudEventDecoder(EventCodec(EventRegistry([Payment])), type_prefix=PREFIX)
INBOX = Inbox("ledger")
METADATA = MetaData()
ENTRIES = Table(
    "entries", METADATA, Column("id", Uuid, primary_key=True), Column("amount", Numeric(12, 2))
)


def ledger(folder: Path) -> Starlette:
    """The ledger's whole application."""
    engine = real_savepoints(create_async_engine(f"sqlite+aiosqlite:///{folder / 'ledger.db'}"))
    sessions = async_sessionmaker(engine)

    async def receive(request: Request) -> Response:
        try:
            received = LEDGER.decode(await request.body())
        except CodecError as error:
            return Response(str(error), 422)
        payment = received.event
        if isinstance(payment, Payment):
            async with sessions.begin() as session:
                if await INBOX.claim(session, payment.event_id):
                    # The key is the ledger's own, so nothing but the inbox keeps it single.
                    await session.execute(insert(ENTRIES).values(id=uuid4(), amount=payment.amount))
        return Response(status_code=204)

    async def entries(_request: Request) -> Response:
        async with sessions() as session:
            found = await session.execute(select(func.count(), func.sum(ENTRIES.c.amount)))
            count, total = found.one()
        return JSONResponse({"count": count, "total": str(total)})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        await create_subscription_tables(engine)
        async with engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
        yield
        await engine.dispose()

    routes = [Route("/events", receive, methods=["POST"]), Route("/entries", entries)]
    return Starlette(routes=routes, lifespan=lifespan)


async def start_ledger(folder: Path, client: httpx.AsyncClient) -> asyncio.subprocess.Process:
    """Start the ledger in a process of its own, and wait until it answers."""
    port = str(client.base_url.port)
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, str(folder), port)
    while True:
        try:
            await client.get("/entries")
        except httpx.TransportError:
            await asyncio.sleep(0.05)
        else:
            return process


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def main(folder: Path) -> None:
    """Let the bank tell the ledger, whatever comes in between."""
    engine = real_savepoints(create_async_engine(f"sqlite+aiosqlite:///{folder / 'bank.db'}"))
    await create_subscription_tables(engine)
    async with (
        SQLiteEventStore(folder / "events.db", registry=BANK.registry) as store,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port()}") as client,
    ):
        total = await record(store)
        print(f"recorded: {PAYMENTS} payments of {total} EUR")
        process = await start_ledger(folder, client)
        wire = Wire(client)
        sending = asyncio.create_task(relay(store, wire, engine, "ledger").run_once())
        await wire.halfway.wait()
        process.kill()
        await process.wait()
        print("killed: the ledger, in the middle")
        process = await start_ledger(folder, client)
        await sending
        await relay(store, wire, engine, "ledger again").run_once()
        print(f"sent: each of them {wire.sent // PAYMENTS} times or more")
        booked = (await client.get("/entries")).json()
        print(f"booked: {booked['count']} payments of {booked['total']} EUR")
        process.terminate()
        await process.wait()
    await engine.dispose()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        uvicorn.run(ledger(Path(sys.argv[1])), port=int(sys.argv[2]), log_level="critical")
    else:
        with tempfile.TemporaryDirectory() as place:
            asyncio.run(main(Path(place)))
