"""Rows that need a server of PostgreSQL: the store, and projections of what it holds."""
