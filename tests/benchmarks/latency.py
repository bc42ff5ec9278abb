"""`python -m tests.benchmarks.latency`: from a commit in one process to a subscriber in another."""

import argparse
import asyncio
import statistics
import sys
from time import monotonic
from uuid import uuid4

import asyncpg

from dashtam_events import DomainEvent, EventRegistry, StreamId, event
from dashtam_events.recorded import RecordedEvent
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions import NOW, InMemoryCheckpointStore, Subscription
from tests.benchmarks.postgres.server import address, new_schema

__all__ = ["measure"]

P50, P99 = 1.0, 5.0
PAUSE_SECONDS = 0.005


@event(category="bench")
class Ticked(DomainEvent):
    """A number was reached."""

    number: int


TICKS = EventRegistry([Ticked])


def _store(dsn: str, schema: str) -> PostgresEventStore:
    return PostgresEventStore(dsn, registry=TICKS, schema=schema)


async def _write(dsn: str, schema: str, events: int) -> None:
    """Append one event at a time, with pauses; print when each append had returned."""
    async with _store(dsn, schema) as store:
        for number in range(events):
            await store.append(StreamId("clock", uuid4()), [Ticked(number=number)])
            print(monotonic(), flush=True)
            await asyncio.sleep(PAUSE_SECONDS)


async def measure(events: int) -> dict[str, list[float]]:
    """Milliseconds from the return of each append to what hears of it in another process.

    That is a bare connection that listens, and the handler of a subscription, which is given the
    event. Either may be called a moment before the append returns; that counts as 0.
    """
    dsn, schema = address(), new_schema("latency")
    heard: dict[str, list[float]] = {"notification": [], "subscriber": []}
    done = asyncio.Event()

    async def handle(_: RecordedEvent) -> None:
        heard["subscriber"].append(monotonic())
        if len(heard["subscriber"]) == events:
            done.set()

    async with _store(dsn, schema) as store:
        bare = await asyncpg.connect(dsn)
        await bare.add_listener(
            f"dashtam_events_{schema}", lambda *_: heard["notification"].append(monotonic())
        )
        kept = InMemoryCheckpointStore()
        async with Subscription("ticks", store, handle, checkpoints=kept, start=NOW):
            appended = await _written(dsn, schema, events)
            await done.wait()
        await bare.close()
    return {
        what: [max(0.0, 1000 * (at - since)) for since, at in zip(appended, times, strict=True)]
        for what, times in heard.items()
    }


async def _written(dsn: str, schema: str, events: int) -> list[float]:
    """When each append had returned, in a process of its own."""
    await asyncio.sleep(0.2)  # so that the subscriber listens
    arguments = ("-m", "tests.benchmarks.latency", "--write", dsn, schema, str(events))
    writer = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await writer.communicate()
    return [float(line) for line in printed.split()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--write", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        dsn, schema, events = options.write
        asyncio.run(_write(dsn, schema, int(events)))
        return
    print(f"{'milliseconds from commit to':28} {'p50':>6} {'p90':>6} {'p99':>6}")
    for what, taken in asyncio.run(measure(options.events)).items():
        hundredths = statistics.quantiles(taken, n=100)
        print(f"{what:28} " + " ".join(f"{hundredths[n - 1]:6.2f}" for n in (50, 90, 99)))
    print(f"{'a subscriber: at most':28} {P50:6.2f} {'':6} {P99:6.2f}")


if __name__ == "__main__":
    main()
