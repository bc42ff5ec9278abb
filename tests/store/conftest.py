"""The server of PostgreSQL that the store is tried on."""

from tests.postgres_server import dsn, mortal_server, open_store, postgres, schema

__all__ = ["dsn", "mortal_server", "open_store", "postgres", "schema"]
