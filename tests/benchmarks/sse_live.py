"""`python -m tests.benchmarks.sse_live [--clients N] [--json FILE] [--check]`: beside the others.

Every server runs in a process of its own, with the same clients on loopback: bare sockets that
only count. `burst` is many events as fast as they can be told, `paced` one after the other, each
when everybody has the one before. With `--check` it fails where we are far behind the targets.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import attrs
import msgspec
import orjson

from dashtam_events.sse import ServerSentEvent
from tests.benchmarks.sse_servers import EVERYBODY, FIELDS, SERVERS

_SCRIPT = Path(__file__).with_name("sse_servers.py")
_MARK = b"event: bench.told"
_PATIENCE = 120  # seconds for all that is told in one go
_REQUEST = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"


@attrs.frozen(kw_only=True)
class Figures:
    """What one server did with so many clients."""

    name: str
    burst_per_second: float
    burst_cpu_micros: float
    paced_per_second: float
    paced_cpu_micros: float
    kib_per_connection: float
    exit_seconds: float


class Crowd:
    """All the clients of a server."""

    def __init__(self) -> None:
        self.received = 0
        self.opened = 0
        self._wanted = 0
        self._there: asyncio.Event = asyncio.Event()

    def count(self, opened: int, events: int) -> None:
        """A client has read this much more."""
        self.opened += opened
        self.received += events
        if self.received >= self._wanted:
            self._there.set()

    async def until(self, wanted: int) -> None:
        """Wait until so many events were received in all."""
        self._wanted = wanted
        self._there.clear()
        if self.received < wanted:
            await asyncio.wait_for(self._there.wait(), _PATIENCE)


class _Client(asyncio.Protocol):
    def __init__(self, crowd: Crowd) -> None:
        self._crowd, self._opened, self._rest = crowd, False, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        self._crowd.count(not self._opened, data.count(_MARK))
        self._opened = True
        counted = data.rfind(_MARK) + len(_MARK) if _MARK in data else 0
        self._rest = data[max(counted, len(data) - len(_MARK) + 1) :]


def _process_figures(pid: int) -> tuple[float, float]:
    """CPU seconds and KiB of resident memory so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return cpu, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1024


async def _tell(port: int, count: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /tell?n=%d HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n" % count)
    await reader.read()
    writer.close()


async def _told(
    process: Process, port: int, crowd: Crowd, clients: int, counts: list[int]
) -> tuple[float, float]:
    """Deliveries a second, and CPU microseconds of the server for one."""
    cpu, begun, wanted = _process_figures(process.pid)[0], perf_counter(), crowd.received
    for count in counts:
        wanted += count * clients
        await _tell(port, count)
        await crowd.until(wanted)
    deliveries = sum(counts) * clients
    took, used = perf_counter() - begun, _process_figures(process.pid)[0] - cpu
    return deliveries / took, used / deliveries * 1e6


async def measure(name: str, clients: int, events: int) -> Figures:
    """Start a server, connect, be told, and end it with everybody connected."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(_SCRIPT), name),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    crowd, loop = Crowd(), asyncio.get_running_loop()
    await _tell(port, 1)
    before = _process_figures(process.pid)[1]
    lines = []
    for _ in range(clients):
        line, _ = await loop.create_connection(lambda: _Client(crowd), "127.0.0.1", port)
        lines.append(line)
    while crowd.opened < clients:  # noqa: ASYNC110  # the server says no more than its first bytes
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    after = _process_figures(process.pid)[1]
    burst = await _told(process, port, crowd, clients, [events])
    paced = await _told(process, port, crowd, clients, [1] * (events // 4))
    begun = perf_counter()
    process.send_signal(signal.SIGTERM)
    await process.wait()
    took = perf_counter() - begun
    for line in lines:
        line.abort()
    return Figures(
        name=name,
        burst_per_second=burst[0],
        burst_cpu_micros=burst[1],
        paced_per_second=paced[0],
        paced_cpu_micros=paced[1],
        kib_per_connection=(after - before) / clients,
        exit_seconds=took,
    )


def encoding(times: int) -> Iterator[tuple[str, float]]:
    """Microseconds to make the frame of a new event, by hand and as we do."""
    made = [
        ServerSentEvent(event_type="bench.told", user_id=EVERYBODY, data=FIELDS)
        for _ in range(times)
    ]
    begun = perf_counter()
    for one in made:
        _ = b"id: %b\nevent: %b\ndata: %b\n\n" % (
            str(one.event_id).encode(),
            one.event_type.encode(),
            orjson.dumps(FIELDS),
        )
    yield "naive orjson", (perf_counter() - begun) / times * 1e6
    begun = perf_counter()
    for one in made:
        one.encode()
    yield "ours", (perf_counter() - begun) / times * 1e6


def shortfalls(figures: Sequence[Figures], encoded: Mapping[str, float]) -> Iterator[str]:
    """Where we miss a target by more than half: that is no noise of a busy machine.

    The targets are 3 times the burst of sse-starlette, 16 KiB a connection, an exit within a
    second, and for a frame 5 µs or 2.5 times naive orjson, whichever is larger.
    """
    theirs = next(one for one in figures if one.name == "sse-starlette")
    for one in figures:
        if one.name.startswith("ours"):
            ratio = one.burst_per_second / theirs.burst_per_second
            if ratio < 3 / 2:
                yield f"{one.name}: {ratio:.2f} times the deliveries of sse-starlette"
            if one.kib_per_connection > 2 * 16:
                yield f"{one.name}: {one.kib_per_connection:.1f} KiB a connection"
            if one.exit_seconds > 2 * 1:
                yield f"{one.name}: {one.exit_seconds:.2f} s until it had ended"
    if encoded["ours"] > 2 * max(5, 2.5 * encoded["naive orjson"]):
        yield f"encode: {encoded['ours']:.2f} µs"


def main() -> None:
    """Measure and print; only with `--check` does the exit code say something about speed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--check", action="store_true", help="fail where a target is far away")
    options = parser.parse_args()
    packages = ("uvicorn", "starlette", "fastapi", "sse-starlette")
    machine = {"python": platform.python_version()} | {name: version(name) for name in packages}
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    print(f"{os.cpu_count()} cores, load before: {os.getloadavg()[0]:.1f}")
    encoded = {name: min(one[1] for one in runs) for name, runs in _repeated_encoding().items()}
    print(", ".join(f"encode, {name}: {cost:.2f} µs" for name, cost in encoded.items()))
    print(
        f"{options.clients} clients{'':17} {'burst/s':>9} {'µs cpu':>7} {'paced/s':>9} "
        f"{'µs cpu':>7} {'KiB':>6} {'exit s':>7}"
    )
    figures = []
    for name in SERVERS:
        one = asyncio.run(measure(name, options.clients, options.events))
        figures.append(one)
        print(
            f"{name:28} {one.burst_per_second:9,.0f} {one.burst_cpu_micros:7.1f} "
            f"{one.paced_per_second:9,.0f} {one.paced_cpu_micros:7.1f} "
            f"{one.kib_per_connection:6.1f} {one.exit_seconds:7.2f}",
            flush=True,
        )
    if options.json:
        result = {
            "machine": machine,
            "encoding": encoded,
            "rows": [attrs.asdict(one) for one in figures],
        }
        options.json.write_bytes(msgspec.json.format(json.dumps(result).encode(), indent=2) + b"\n")
    if options.check and (missed := list(shortfalls(figures, encoded))):
        raise SystemExit("\n".join(missed))


def _repeated_encoding() -> dict[str, list[tuple[str, float]]]:
    runs: dict[str, list[tuple[str, float]]] = {}
    for _ in range(5):
        for name, cost in encoding(5_000):
            runs.setdefault(name, []).append((name, cost))
    return runs


if __name__ == "__main__":
    main()
