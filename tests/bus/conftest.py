"""The databases that sessions are tried on."""

from tests.databases import engine, postgres

__all__ = ["engine", "postgres"]
