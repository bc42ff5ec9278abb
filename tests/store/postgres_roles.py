"""Roles of PostgreSQL that the tests make."""

__all__ = ["APPEND_ONLY"]

APPEND_ONLY = """
CREATE ROLE {role} LOGIN;
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};
GRANT EXECUTE ON FUNCTION {schema}.append TO {role};
"""
