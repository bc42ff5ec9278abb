"""The endpoint by its rules, each over a real server or as the bytes that it sends."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from dashtam_events import InMemoryEventStore
from dashtam_events._clock import now
from dashtam_events.errors import StoreUnavailable
from dashtam_events.sse import ServerSentEvent, SSEEndpoint, SSEHub, SSEUser, comment
from dashtam_events.testing.sse import ReceivedEvent
from tests.loops import pass_time, quickest
from tests.sse.serving import (
    NOTES,
    Client,
    NoteBurned,
    NoteHidden,
    NoteSmudged,
    NoteWritten,
    authenticate,
    enough,
    eventually,
    raw_stream,
    request,
    served,
    served_by,
    write,
)

ME, OTHER = uuid4(), uuid4()


@pytest.fixture
def store() -> InMemoryEventStore:
    return InMemoryEventStore(registry=NOTES)


@pytest.fixture(autouse=True)
async def no_task_left() -> AsyncIterator[None]:
    """Whatever a test did, no task of the endpoint outlives its streams."""
    yield
    await asyncio.sleep(0)
    current = asyncio.current_task()
    assert [task for task in asyncio.all_tasks() if task is not current] == []


def endpoint(store: Any = None, **options: Any) -> SSEEndpoint:
    given: dict[str, Any] = {"authenticate": authenticate, "categories": ("note", "ash")} | options
    return SSEEndpoint(store=store, **given)


def notes(*numbers: int, user_id: UUID = ME) -> list[NoteWritten]:
    return [NoteWritten(user_id=user_id, number=number) for number in numbers]


def data_of(event: ReceivedEvent) -> Any:
    return json.loads(event.data)


def numbers(seen: list[ReceivedEvent]) -> list[int]:
    return [data_of(event)["number"] for event in seen if not event.type.startswith("stream.")]


async def read(
    app: SSEEndpoint, count: int, cursor: str | None = None, user_id: UUID = ME, query: str = ""
) -> list[ReceivedEvent]:
    """The first so many events of a stream, those of the endpoint itself included."""
    query += "" if cursor is None else f"&last_event_id={cursor}"
    async with asyncio.timeout(30):
        _, seen = await raw_stream(app, user_id, lambda seen: len(seen) >= count, query)
    return seen


async def all_that_was_sent(line: socket.socket) -> bytes:
    """What came over a line up to the end of its answer, or of the line."""
    said = b""
    async with asyncio.timeout(30):
        while not said.endswith(b"\r\n0\r\n\r\n"):
            more = await asyncio.get_running_loop().sock_recv(line, 65536)
            if not more:
                break
            said += more
    return said


class TestRequest:
    async def test_the_headers_come_at_once(self, store: InMemoryEventStore) -> None:
        async with served(endpoint(store)) as port:
            headers = {"x-user": str(ME)}
            async with (
                httpx.AsyncClient(timeout=60, trust_env=False) as http,
                http.stream("GET", f"http://127.0.0.1:{port}/", headers=headers) as response,
            ):
                assert response.status_code == 200
                assert response.headers["content-type"] == "text/event-stream"
                assert response.headers["cache-control"] == "no-store"
                assert response.headers["x-accel-buffering"] == "no"

    @pytest.mark.parametrize(
        ("method", "query", "signed_in", "status"),
        [
            ("HEAD", "", True, 200),
            ("GET", "", False, 401),
            ("HEAD", "", False, 401),
            ("POST", "", True, 405),
            ("GET", "?categories=note,secrets", True, 400),
            ("GET", "?" + "a=1&" * 200, True, 400),
        ],
    )
    async def test_what_is_no_stream_is_answered_and_over(
        self, store: InMemoryEventStore, method: str, query: str, signed_in: bool, status: int
    ) -> None:
        async with (
            served(endpoint(store)) as port,
            httpx.AsyncClient(timeout=60, trust_env=False) as http,
        ):
            headers = {"x-user": str(ME)} if signed_in else {}
            url = f"http://127.0.0.1:{port}/{query}"
            response = await http.request(method, url, headers=headers)
        assert response.status_code == status
        if status == 400:
            assert response.json()["known_categories"] == ["ash", "note"]
            assert "secrets" not in response.text

    async def test_a_token_that_has_expired_is_nobodys(self, store: InMemoryEventStore) -> None:
        async def expired(scope: Any) -> SSEUser:
            return SSEUser(user_id=ME, expires_at=now())

        app = endpoint(store, authenticate=expired)
        async with served(app) as port, httpx.AsyncClient(timeout=60, trust_env=False) as http:
            assert (await http.get(f"http://127.0.0.1:{port}/")).status_code == 401

    def test_an_endpoint_without_a_source_is_refused(self) -> None:
        with pytest.raises(ValueError, match="store, a subscriber or both"):
            SSEEndpoint(authenticate=authenticate)


class TestOpening:
    async def test_the_first_block_says_where_the_stream_begins(
        self, store: InMemoryEventStore
    ) -> None:
        await write(store, notes(1, 2))
        raw, (opened,) = await raw_stream(endpoint(store), ME, lambda seen: len(seen) == 1)
        assert raw.startswith(b"retry: 3000\nid: at-2\nevent: stream.open\ndata: {")
        assert data_of(opened)["cursor"] == opened.id
        assert data_of(opened)["resumed"] is False

    async def test_a_client_dropped_before_its_first_event_misses_nothing(
        self, store: InMemoryEventStore
    ) -> None:
        app = endpoint(store)
        (opened,) = await read(app, 1)
        await write(store, notes(1, 2))
        assert numbers(await read(app, 3, opened.id)) == [1, 2]

    async def test_it_resumes_after_the_event_that_was_seen_last(
        self, store: InMemoryEventStore
    ) -> None:
        written = notes(*range(600))
        await write(store, written)
        seen = await read(endpoint(store), 301, str(written[299].event_id))
        assert seen[0].type == "stream.open"
        assert seen[0].id == str(written[299].event_id)
        assert data_of(seen[0])["resumed"] is True
        assert numbers(seen) == list(range(300, 600))

    async def test_the_header_counts_for_more_than_the_query(
        self, store: InMemoryEventStore
    ) -> None:
        written = notes(0, 1, 2)
        await write(store, written)
        async with served(endpoint(store)) as port:
            client = Client(port=port, user_id=ME, query="?last_event_id=at-0")
            client.last_id = str(written[0].event_id)
            await client.run(lambda client: len(client.seen) == 3)
        assert client.numbers == [1, 2]

    async def test_a_page_that_was_rendered_now_connects_with_the_cursor_of_now(
        self, store: InMemoryEventStore
    ) -> None:
        app = endpoint(store)
        await write(store, notes(1))
        cursor = await app.cursor()
        await write(store, notes(2))
        assert numbers(await read(app, 2, cursor)) == [2]

    @pytest.mark.parametrize(
        ("cursor", "reason"),
        [
            (str(UUID(int=4711)), "unknown"),
            ("at-99", "unknown"),
            ("at-99999999999999999999", "malformed"),
            ("yesterday", "malformed"),
            ("%0A%00", "malformed"),
            ("%F0%9F%92%A5", "malformed"),
            ("x" * 4000, "malformed"),
        ],
    )
    async def test_a_cursor_that_is_none_resets_the_stream_to_the_oldest(
        self, store: InMemoryEventStore, cursor: str, reason: str
    ) -> None:
        written = notes(1, 2, 3)
        await write(store, [*notes(0, user_id=OTHER), *written])
        app = endpoint(store)
        seen = await read(app, 5, cursor)
        assert [event.type for event in seen[:2]] == ["stream.open", "stream.reset"]
        told = data_of(seen[1])
        assert told["reason"] == reason
        assert told["oldest"] == str(written[0].event_id)
        assert len(told["requested"]) <= 128
        assert numbers(seen) == [1, 2, 3]
        assert app.counters.resets == {reason: 1}

    async def test_somebody_elses_event_is_as_unknown_as_none(
        self, store: InMemoryEventStore
    ) -> None:
        theirs = notes(0, user_id=OTHER)
        await write(store, [*theirs, *notes(1)])
        seen = await read(endpoint(store), 3, str(theirs[0].event_id))
        assert data_of(seen[1])["reason"] == "unknown"
        assert numbers(seen) == [1]

    async def test_a_store_that_is_away_is_no_error_but_later(self) -> None:
        class Away(InMemoryEventStore):
            async def last_position(self) -> Any:
                raise StoreUnavailable("there", "away")

        app = endpoint(Away(registry=NOTES))
        (busy,) = await read(app, 1, "at-0")
        assert (busy.type, busy.id) == ("stream.busy", "at-0")
        assert busy.retry is not None
        assert 1500 <= busy.retry <= 4500
        assert app.counters.ended == {"store": 1}


class TestEvents:
    async def test_what_is_written_comes_live_to_its_user_only(
        self, store: InMemoryEventStore
    ) -> None:
        app = endpoint(store)
        async with served(app) as port:
            me, other = (Client(port=port, user_id=user_id) for user_id in (ME, OTHER))
            reading = [
                asyncio.create_task(me.run(enough(20))),
                asyncio.create_task(other.run(enough(1))),
            ]
            await eventually(lambda: app.counters.open == 2 and not app.counters.lagging)
            for number in range(20):
                await write(store, [*notes(number), NoteHidden(user_id=ME)])
            await write(store, notes(7, user_id=OTHER))
            await asyncio.gather(*reading)
        assert me.numbers == list(range(20))
        assert other.numbers == [7]

    async def test_an_id_is_that_of_the_domain_event(self, store: InMemoryEventStore) -> None:
        written = notes(1)
        await write(store, written)
        seen = await read(endpoint(store), 2, "at-0")
        assert seen[1].id == str(written[0].event_id)

    async def test_categories_filter_what_comes_after_the_cursor(
        self, store: InMemoryEventStore
    ) -> None:
        await write(store, notes(1))
        await write(store, [NoteBurned(user_id=ME, number=2)])
        await write(store, notes(3))
        app = endpoint(store)
        assert numbers(await read(app, 2, "at-0", query="categories=ash")) == [2]
        assert numbers(await read(app, 4, "at-0", query="categories=ash,note")) == [1, 2, 3]
        assert numbers(await read(app, 4, "at-0", query="categories=")) == [1, 2, 3]

    async def test_a_page_is_sent_in_pieces_of_64_kib(self, store: InMemoryEventStore) -> None:
        long = [NoteWritten(user_id=ME, number=n, text="x" * 5_000) for n in range(100)]
        await write(store, long)
        sizes: list[int] = []

        async def send(message: Any) -> None:
            sizes.append(len(message.get("body", b"")))

        async def receive() -> Any:
            await eventually(lambda: sum(sizes) > 500_000)
            return {"type": "http.disconnect"}

        headers = [(b"x-user", str(ME).encode()), (b"last-event-id", b"at-0")]
        await endpoint(store)({"type": "http", "method": "GET", "headers": headers}, receive, send)
        assert max(sizes) <= 64 * 1024
        assert len(sizes) < 15

    async def test_what_cannot_be_shown_is_logged_and_passed_over(
        self, store: InMemoryEventStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = NoteSmudged(user_id=str(ME), text="the-canary")
        await write(store, [*notes(1), broken, *notes(2)])
        with caplog.at_level(logging.WARNING, "dashtam_events.sse"):
            assert numbers(await read(endpoint(store), 3, "at-0")) == [1, 2]
        (record,) = caplog.records
        assert record.message == "sse_event_not_shown"
        assert vars(record)["event_id"] == str(broken.event_id)
        assert "canary" not in str(vars(record))

    async def test_a_burst_that_cannot_wait_is_read_from_the_store(
        self, store: InMemoryEventStore
    ) -> None:
        app = endpoint(store, max_events=10, send_timeout=60)
        async with served(app) as port:
            client = Client(port=port, user_id=ME)
            reading = asyncio.create_task(client.run(enough(3_000)))
            await eventually(lambda: app.counters.open == 1 and not app.counters.lagging)
            await write(store, notes(*range(3_000)))
            await reading
        assert client.numbers == list(range(3_000))
        assert client.opened == 1


class TestLiveOnly:
    """Events that are published directly and stand in no store."""

    async def test_they_come_between_stored_ones_and_resume_after_the_last_of_those(
        self, store: InMemoryEventStore
    ) -> None:
        hub = SSEHub()
        app = endpoint(store, subscriber=hub)
        written = notes(1, 2)

        async def tell() -> None:
            await eventually(lambda: app.counters.open == 1 and not app.counters.lagging)
            await write(store, written[:1])
            await eventually(lambda: app.counters.sent_events == 1)
            await hub.publish(
                ServerSentEvent(event_type="note.read", user_id=ME, data={"number": 50})
            )
            everybody = ServerSentEvent(event_type="note.lost", user_id=OTHER, data={"number": 51})
            await hub.broadcast(everybody)

        telling = asyncio.create_task(tell())
        seen = await read(app, 4)
        await telling
        assert numbers(seen) == [1, 50, 51]
        stored, direct, everybody = seen[1:]
        assert stored.id == str(written[0].event_id)
        assert len({stored.id, direct.id, everybody.id}) == 3
        await write(store, written[1:])
        for cursor in (direct.id, everybody.id):
            again = await read(app, 2, cursor)
            assert data_of(again[0])["resumed"] is True
            assert numbers(again) == [2]

    async def test_before_any_stored_event_they_resume_at_the_beginning_of_the_stream(
        self, store: InMemoryEventStore
    ) -> None:
        hub = SSEHub()
        app = endpoint(store, subscriber=hub)

        async def tell() -> None:
            await eventually(lambda: app.counters.open == 1 and not app.counters.lagging)
            await hub.publish(
                ServerSentEvent(event_type="note.read", user_id=ME, data={"number": 50})
            )

        telling = asyncio.create_task(tell())
        seen = await read(app, 2)
        await telling
        await write(store, notes(1))
        assert numbers(await read(app, 2, seen[-1].id)) == [1]

    async def test_with_a_hub_alone_coming_back_is_a_reset_not_a_silent_gap(self) -> None:
        hub = SSEHub()
        app = endpoint(None, subscriber=hub)

        async def tell() -> None:
            await eventually(lambda: app.counters.open == 1)
            await asyncio.sleep(0.01)
            event = ServerSentEvent(event_type="note.read", user_id=ME, data={"number": 50})
            await hub.publish(event)

        telling = asyncio.create_task(tell())
        seen = await read(app, 2)
        await telling
        assert numbers(seen) == [50]
        for cursor in (seen[0].id, seen[1].id):
            again = await read(app, 2, cursor)
            assert [event.type for event in again] == ["stream.open", "stream.reset"]
        assert len(await read(app, 1, "live")) == 1
        assert app.counters.resets == {"unknown": 2}

    async def test_who_is_told_more_than_may_wait_is_disconnected(self) -> None:
        hub = SSEHub(max_events=5)
        app = endpoint(None, subscriber=hub)

        async def tell() -> None:
            await eventually(lambda: app.counters.open == 1)
            await asyncio.sleep(0.01)
            for number in range(20):
                await hub.publish(
                    ServerSentEvent(event_type="note.read", user_id=ME, data={"number": number})
                )

        telling = asyncio.create_task(tell())
        seen = await read(app, 2)
        await telling
        assert [(event.type, event.data) for event in seen[1:]] == [
            ("stream.closing", '{"reason":"slow"}')
        ]
        assert app.counters.ended == {"slow": 1}


class TestLife:
    async def test_a_stream_at_rest_is_kept_alive_by_comments(
        self, store: InMemoryEventStore
    ) -> None:
        app = endpoint(store, keep_alive=0.05)
        kept = 3 * len(comment("keep-alive"))

        async def end() -> None:
            await eventually(lambda: app.counters.open == 1 and not app.counters.lagging)
            opened = app.counters.sent_bytes
            await eventually(lambda: app.counters.sent_bytes >= opened + kept, within=10)
            app.begin_shutdown()

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(raw_stream(app, ME, lambda seen: len(seen) == 2))
            group.create_task(end())
        raw, seen = reading.result()
        assert raw.count(b": keep-alive\n\n") >= 3
        assert [event.type for event in seen] == ["stream.open", "stream.closing"]

    @pytest.mark.parametrize(("valid", "reason"), [(3600.0, "lifetime"), (10.0, "expired")])
    async def test_it_ends_with_its_time_or_with_the_token(
        self, store: InMemoryEventStore, valid: float, reason: str
    ) -> None:
        async def until(scope: Any) -> SSEUser:
            return SSEUser(user_id=ME, expires_at=now() + timedelta(seconds=valid))

        app = endpoint(store, authenticate=until, lifetime=20)
        reading = asyncio.create_task(read(app, 2))
        await eventually(lambda: app.counters.open == 1 and not app.counters.lagging)
        pass_time(min(20.0, valid))
        seen = await reading
        assert data_of(seen[-1]) == {"reason": reason}
        assert seen[-1].id == seen[0].id
        assert seen[-1].retry is not None
        assert app.counters.ended == {reason: 1}

    async def test_more_streams_than_a_user_may_have_are_told_to_come_later(
        self, store: InMemoryEventStore
    ) -> None:
        app = endpoint(store, max_per_user=1)
        async with served(app) as port:
            line = await request(port, ME)
            await eventually(lambda: app.counters.open == 1)
            (busy,) = await read(app, 1)
            assert (busy.type, busy.id) == ("stream.busy", "live")
            (busy,) = await read(app, 1, "at-0")
            assert busy.id == "at-0"
            assert (await read(app, 1, user_id=OTHER))[0].type == "stream.open"
            line.close()
            await eventually(lambda: app.counters.open == 0)
            assert (await read(app, 1))[0].type == "stream.open"
        assert app.counters.refused == 2

    async def test_a_client_that_never_reads_is_gone_in_time_and_slows_nobody(
        self, store: InMemoryEventStore
    ) -> None:
        app = endpoint(store, send_timeout=2)
        long = [NoteWritten(user_id=ME, number=n, text="x" * 10_000) for n in range(1_000)]
        async with served(app) as port:
            dead = await request(port, ME, last_event_id="at-0")
            quick = Client(port=port, user_id=ME, last_id="at-0")
            await eventually(lambda: app.counters.open == 1)
            reading = asyncio.create_task(quick.run(lambda client: len(client.seen) > 1_000))
            await write(store, long)
            await reading
            assert quick.opened == 1
            await eventually(lambda: app.counters.ended["slow"] == 1, within=4.5)
            dead.close()
        assert app.counters.ended["slow"] == 1

    async def test_a_connection_that_never_reads_counts_until_the_server_lets_go_of_it(
        self, store: InMemoryEventStore
    ) -> None:
        """No application can close a socket: cut off, it stays until the client hangs up."""
        app = endpoint(store, send_timeout=0.4, max_per_user=1)
        long = "x" * 10_000
        await write(store, [NoteWritten(user_id=ME, number=n, text=long) for n in range(1_000)])
        async with served_by(app) as (server, port):
            dead = await request(port, ME, last_event_id="at-0")
            await eventually(lambda: app.counters.stuck == 1)
            assert len(server.server_state.connections) == 1
            assert (await read(app, 1))[0].type == "stream.busy"
            dead.close()
            await eventually(lambda: app.counters.open == 0)
            assert app.counters.stuck == 0
            assert not server.server_state.connections

    @pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has it")
    async def test_with_a_user_timeout_the_kernel_closes_what_never_reads(
        self, store: InMemoryEventStore
    ) -> None:
        app = endpoint(store, send_timeout=0.4)
        long = "x" * 10_000
        await write(store, [NoteWritten(user_id=ME, number=n, text=long) for n in range(1_000)])
        async with served_by(app, user_timeout=1_000) as (server, port):
            dead = await request(port, ME, last_event_id="at-0")
            await eventually(lambda: app.counters.stuck == 1)
            await eventually(lambda: not server.server_state.connections, within=60)
            await eventually(lambda: app.counters.open == 0)
            dead.close()

    async def test_while_it_cannot_be_said_whose_a_request_is_the_client_comes_back_later(
        self, store: InMemoryEventStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def away(scope: Any) -> UUID:
            raise RuntimeError("the-canary")

        app = endpoint(store, authenticate=away)
        (busy,) = await read(app, 1, "at-0")
        assert (busy.type, busy.id) == ("stream.busy", "at-0")
        assert busy.retry is not None
        assert app.counters.refused == 1
        [record] = [each for each in caplog.records if each.name == "dashtam_events.sse"]
        assert record.message == "sse_authentication_failed"
        assert "canary" not in str(vars(record))

    async def test_a_client_that_hangs_up_is_noticed_at_rest(
        self, store: InMemoryEventStore
    ) -> None:
        app = endpoint(store)
        async with served(app) as port:
            line = await request(port, ME)
            await eventually(lambda: app.counters.open == 1)
            line.close()
            await eventually(lambda: app.counters.open == 0)
        assert app.counters.ended == {"disconnected": 1}

    async def test_a_cancelled_stream_leaves_nothing_behind(
        self, store: InMemoryEventStore
    ) -> None:
        hub = SSEHub()
        app = endpoint(store, subscriber=hub)
        reading = asyncio.create_task(raw_stream(app, ME, lambda seen: False))
        await eventually(lambda: app.counters.open == 1 and not app.counters.lagging)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert app.counters.open == app.counters.lagging == 0
        assert app.counters.ended == {"cancelled": 1}
        assert hub._listening == {}
        assert app._streams == {}

    async def test_the_store_is_followed_again_after_it_was_away(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Flaky(InMemoryEventStore):
            failures = 2

            async def wait(self, **options: Any) -> bool:
                if self.failures:
                    self.failures -= 1
                    raise StoreUnavailable("there", "away")
                return await super().wait(**options)

        store = Flaky(registry=NOTES)
        app = endpoint(store)
        reading = asyncio.create_task(read(app, 2))
        await eventually(lambda: app.counters.open == 1 and not app.counters.lagging)
        await write(store, notes(1))
        assert numbers(await reading) == [1]
        assert [record.message for record in caplog.records] == ["sse_store_not_readable"] * 2


class TestShutdown:
    async def test_many_streams_are_told_and_gone_in_under_a_second(
        self, store: InMemoryEventStore
    ) -> None:
        loop = asyncio.get_running_loop()

        async def trial() -> float:
            app = endpoint(store, max_per_user=1_000)
            lines: list[socket.socket] = []
            async with served(app) as port:
                lines += [await request(port, ME) for _ in range(300)]
                await eventually(lambda: app.counters.open == 300 and not app.counters.lagging, 60)
                begun = loop.time()
                await app.shutdown()
                took = loop.time() - begun
                said = await all_that_was_sent(lines[0])
                (busy,) = await read(app, 1)
            for line in lines:
                line.close()
            assert app.counters.ended == {"shutdown": 300}
            assert b"event: stream.closing" in said
            assert said.endswith(b"0\r\n\r\n")
            assert busy.type == "stream.busy"
            return took

        assert await quickest(trial, 1) < 1

    async def test_a_client_that_takes_nothing_does_not_hold_it_up(
        self, store: InMemoryEventStore
    ) -> None:
        loop = asyncio.get_running_loop()
        await write(store, [NoteWritten(user_id=ME, number=1, text="x" * 1_000_000)])

        async def trial() -> float:
            app = endpoint(store)
            stuck = asyncio.Event()

            async def send(message: Any) -> None:
                if len(message.get("body", b"")) > 100_000:
                    stuck.set()
                    await asyncio.sleep(60)

            async def receive() -> Any:
                await asyncio.sleep(60)

            headers = [(b"x-user", str(ME).encode()), (b"last-event-id", b"at-0")]
            scope = {"type": "http", "method": "GET", "headers": headers}
            serving = asyncio.create_task(app(scope, receive, send))
            await stuck.wait()
            begun = loop.time()
            await app.shutdown()
            await serving
            took = loop.time() - begun
            assert app.counters.ended == {"shutdown": 1}
            return took

        assert await quickest(trial, 1) < 1

    async def test_before_the_first_stream_there_is_nothing_to_end(
        self, store: InMemoryEventStore
    ) -> None:
        app = endpoint(store)
        await app.shutdown()
        await app.shutdown()
