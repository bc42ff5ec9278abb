"""A PostgreSQL store over TLS: as the address says, in the words of libpq, or by a context."""

import asyncio
import ssl
import struct
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme

from dashtam_events.errors import StoreUnavailable
from dashtam_events.testing._store_samples import a_stream, lit, log_of
from tests.postgres_server import Open

TLS_REQUEST = struct.pack("!II", 8, 80877103)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def root(authority: trustme.CA, tmp_path: Path) -> Path:
    """The file of whom to trust."""
    path = tmp_path / "root.crt"
    authority.cert_pem.write_to_path(path)
    return path


@asynccontextmanager
async def _encrypted(dsn: str, certificate: trustme.LeafCert | None) -> AsyncIterator[str]:
    """The address of a proxy that speaks TLS; without a certificate, one that will not.

    The server's own build has none.
    """
    folder = parse_qs(urlsplit(dsn).query)["host"][0]

    serving: list[asyncio.Task[Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append(task)
        with suppress(OSError, asyncio.IncompleteReadError):
            assert await reader.readexactly(8) == TLS_REQUEST
            writer.write(b"S" if certificate else b"N")
            if certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                certificate.configure_cert(context)
                await writer.start_tls(context)
                await _join(reader, writer, f"{folder}/.s.PGSQL.5432")
        writer.close()

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with proxy:
        port = proxy.sockets[0].getsockname()[1]
        yield f"postgresql://postgres@localhost:{port}/postgres"
        async with asyncio.timeout(60):
            await asyncio.gather(*serving)


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    from_server, to_server = await asyncio.open_unix_connection(path)
    await asyncio.gather(_pass_on(reader, to_server), _pass_on(from_server, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_the_address_asks_for_tls(
    open_store: Open, dsn: str, authority: trustme.CA, root: Path
) -> None:
    async with _encrypted(dsn, authority.issue_cert("localhost")) as address:
        modes = ("sslmode=require", f"sslmode=verify-full&sslrootcert={root}")
        for count, mode in enumerate(modes, 1):
            async with open_store(f"{address}?{mode}") as store:
                await store.append(a_stream(), lit())
                assert await store.wait(after=None, timeout=5)
                assert len(await log_of(store)) == count


async def test_a_context_of_ones_own_asks_for_tls(
    open_store: Open, dsn: str, authority: trustme.CA
) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with (
        _encrypted(dsn, authority.issue_cert("localhost")) as address,
        open_store(address, ssl=context) as store,
    ):
        assert await log_of(store) == []


async def test_another_hosts_certificate_is_refused(
    open_store: Open, dsn: str, authority: trustme.CA, root: Path
) -> None:
    async with _encrypted(dsn, authority.issue_cert("db.internal")) as address:
        store = open_store(f"{address}?sslmode=verify-full&sslrootcert={root}")
        with pytest.raises(StoreUnavailable, match=r"not trusted: Hostname mismatch.*localhost"):
            await store.__aenter__()
        async with open_store(f"{address}?sslmode=verify-ca&sslrootcert={root}") as store:
            assert await log_of(store) == []


async def test_a_certificate_of_an_unknown_authority_is_refused(
    open_store: Open, dsn: str, root: Path
) -> None:
    async with _encrypted(dsn, trustme.CA().issue_cert("localhost")) as address:
        store = open_store(f"{address}?sslmode=verify-ca&sslrootcert={root}")
        with pytest.raises(StoreUnavailable, match="certificate is not trusted"):
            await store.__aenter__()


async def test_an_authority_that_was_not_given_is_named_as_the_reason(
    open_store: Open, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    async with _encrypted(dsn, trustme.CA().issue_cert("localhost")) as address:
        with pytest.raises(StoreUnavailable, match="sslrootcert"):
            await open_store(f"{address}?sslmode=verify-full").__aenter__()


async def test_a_server_without_tls_is_refused_where_it_is_asked_for(
    open_store: Open, dsn: str
) -> None:
    async with _encrypted(dsn, None) as address:
        with pytest.raises(StoreUnavailable, match="offers no TLS"):
            await open_store(f"{address}?sslmode=require").__aenter__()


@pytest.mark.parametrize("setting", ["sslrootcert", "sslcert", "sslcrl"])
async def test_a_file_that_is_not_there_is_named_by_its_setting(
    open_store: Open, tmp_path: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, canary = "postgresql://localhost:1/db?sslmode=require", tmp_path / "canary"
    expected = f"a file named for TLS cannot be read: {setting}$"
    with pytest.raises(StoreUnavailable, match=expected) as raised:
        await open_store(f"{address}&{setting}={canary}").__aenter__()
    assert "canary" not in str(raised.value)
    monkeypatch.setenv(f"PG{setting.upper()}", str(canary))
    with pytest.raises(StoreUnavailable, match=expected):
        await open_store(address).__aenter__()


async def test_a_socket_that_is_not_there_is_no_file_for_tls(open_store: Open, root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        address = f"postgresql:///db?host={folder}&sslrootcert={root}"
        with pytest.raises(StoreUnavailable, match="cannot be reached: No such file"):
            await open_store(address).__aenter__()


async def test_a_path_that_no_socket_can_have_is_told(open_store: Open) -> None:
    address = f"postgresql:///db?host=/tmp/{'long' * 30}"
    with pytest.raises(StoreUnavailable, match="the path of its socket is too long"):
        await open_store(address).__aenter__()
