"""Where a store is, as it is typed: a SQLite file, or an address of PostgreSQL and a schema."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import attrs
import click

from dashtam_events.registry import EventRegistry
from dashtam_events.store._address import check_address
from dashtam_events.store._transfer import RawStore
from dashtam_events.store.protocol import EventStore
from dashtam_events.store.sqlite import SQLiteEventStore

__all__ = ["Address", "Place", "address", "address_argument", "schema_option"]

_KINDS = "write sqlite:///FILE or postgresql://USER@HOST/DATABASE"

Address = str | Path
"""A file, or an address of PostgreSQL."""

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@attrs.frozen(repr=False)
class Place:
    """A file, or an address of PostgreSQL and a schema in it.

    What PostgreSQL needs is imported where a place is in it: it is an extra.
    """

    address: Address
    schema: str

    def store(self, registry: EventRegistry) -> AbstractAsyncContextManager[EventStore]:
        """The store, to be read: it is neither made nor changed.

        Raises:
            click.BadParameter: the address or the schema is none.
            MissingExtra: the extra `postgres` is not installed.
        """
        try:
            if isinstance(self.address, Path):
                return SQLiteEventStore(self.address, registry=registry, read_only=True)
            from dashtam_events.store.postgres import PostgresEventStore

            return PostgresEventStore(
                self.address, registry=registry, schema=self.schema, migrate=False
            )
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    def tables(self, *, writable: bool, batch_size: int) -> AbstractAsyncContextManager[RawStore]:
        """The tables of the store, for moving house; raises what `open_raw` of its engine does."""
        if isinstance(self.address, Path):
            from dashtam_events.store.sqlite._transfer import open_raw as open_file

            return open_file(self.address, writable=writable, batch_size=batch_size)
        from dashtam_events.store.postgres._transfer import open_raw as open_schema

        return open_schema(
            self.address, schema=self.schema, writable=writable, batch_size=batch_size
        )


def address(_context: click.Context, _parameter: click.Parameter, text: str) -> Address:
    """What was typed. Where it is no address it may hold a password all the same: never shown."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return Path(text)
    kind = scheme.partition("+")[0]
    if kind == "sqlite" and rest.startswith("/") and len(rest) > 1 and "%00" not in rest:
        return Path(unquote(rest[1:]))
    if kind not in ("postgres", "postgresql"):
        raise click.BadParameter(_KINDS)
    try:
        check_address(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return f"postgresql://{rest}" if scheme == "postgres" else text


address_argument: _Decorator = click.argument("address", metavar="FILE|URL", callback=address)
"""`FILE|URL`, given to the command as `address`."""

schema_option: _Decorator = click.option(
    "--schema",
    default="events",
    show_default=True,
    help="The namespace of the tables, in PostgreSQL.",
)
"""`--schema`, given to the command as `schema`."""
