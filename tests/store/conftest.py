"""The server of PostgreSQL that the store is tried on."""

from tests.postgres_server import dsn, listening, open_store, postgres, schema

__all__ = ["dsn", "listening", "open_store", "postgres", "schema"]
