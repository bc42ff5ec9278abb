"""Both databases."""

from tests.databases import engine, postgres

__all__ = ["engine", "postgres"]
