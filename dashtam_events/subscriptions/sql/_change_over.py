"""Putting rebuilt tables in the place of the old, with all that others were given on these."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, Table, bindparam, text

__all__ = ["dependents", "take_names"]

# What falls with one of the tables is no obstacle; all else makes PostgreSQL refuse to drop them.
# A trigger or a policy falls as well, but is somebody's wish, and would be lost unseen.
_DEPENDENTS = text("""
    WITH old AS (
        SELECT oid, reltype FROM pg_class WHERE oid IN (
            SELECT to_regclass(quote_ident(name)) FROM unnest(CAST(:names AS text[])) AS name
        )
    )
    SELECT COALESCE(
        pg_describe_object('pg_class'::regclass, rule.ev_class, 0),
        pg_describe_object(uses.classid, uses.objid, uses.objsubid)
    )
    FROM pg_depend uses
    JOIN old ON uses.refobjid IN (old.oid, old.reltype)
    LEFT JOIN pg_rewrite rule ON uses.classid = 'pg_rewrite'::regclass AND rule.oid = uses.objid
    WHERE uses.deptype = 'n' AND NOT EXISTS (
        SELECT FROM pg_depend falls JOIN old ON falls.refobjid = old.oid
        WHERE falls.classid = uses.classid AND falls.objid = uses.objid
        AND falls.deptype IN ('a', 'i')
    )
    UNION
    SELECT pg_describe_object('pg_trigger'::regclass, pg_trigger.oid, 0)
    FROM pg_trigger JOIN old ON tgrelid = old.oid WHERE NOT tgisinternal
    UNION
    SELECT pg_describe_object('pg_policy'::regclass, pg_policy.oid, 0)
    FROM pg_policy JOIN old ON polrelid = old.oid
    ORDER BY 1
""")
_REFERRING = text("""
    SELECT DISTINCT 'foreign key of table ' || other.name
    FROM sqlite_master other, pragma_foreign_key_list(other.name) refers
    WHERE other.type = 'table'
    AND lower(refers."table") IN :names AND lower(other.name) NOT IN :names
    ORDER BY 1
""").bindparams(bindparam("names", expanding=True))
# What the new table begins with comes from the default privileges of its owner. It is revoked
# before anything is granted: the statements are in descending order.
_AS_BEFORE = text("""
    WITH old AS (SELECT * FROM pg_class WHERE oid = to_regclass(quote_ident(:old))),
    new AS (SELECT * FROM pg_class WHERE oid = to_regclass(quote_ident(:new))),
    revoked AS (
        SELECT DISTINCT format('REVOKE ALL ON %I FROM %s', new.relname, grantee::regrole) AS said
        FROM old, new, aclexplode(new.relacl) WHERE grantee NOT IN (0, new.relowner)
        UNION SELECT format('REVOKE ALL ON %I FROM PUBLIC', new.relname) FROM old, new
    ),
    held AS (
        SELECT '' AS columns, granted.*
        FROM old, aclexplode(COALESCE(relacl, acldefault('r', relowner))) granted
        UNION ALL
        SELECT format(' (%I)', theirs.attname), granted.*
        FROM old JOIN pg_attribute theirs ON theirs.attrelid = old.oid
        JOIN new ON true JOIN pg_attribute ours
        ON ours.attrelid = new.oid AND ours.attname = theirs.attname AND ours.attnum > 0,
        aclexplode(theirs.attacl) granted
    )
    SELECT said FROM revoked
    UNION ALL
    SELECT DISTINCT format(
        'GRANT %s%s ON %I TO %s%s', privilege_type, columns, new.relname,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    ) FROM held, new WHERE grantee <> new.relowner
    UNION ALL
    SELECT format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', new.relname)
    FROM old, new WHERE old.relrowsecurity
    ORDER BY 1 DESC
""")
_SPEAKING = text("""
    SELECT type, name, sql FROM sqlite_master WHERE type IN ('view', 'trigger')
    ORDER BY type DESC, rowid
""")


def dependents(connection: Connection, names: Collection[str]) -> list[str]:
    """What others made of these tables, and would lose or be broken if these were dropped."""
    if connection.dialect.name == "postgresql":
        return list(connection.scalars(_DEPENDENTS, {"names": list(names)}))
    return list(connection.scalars(_REFERRING, {"names": [name.lower() for name in names]}))


def take_names(connection: Connection, tables: Mapping[str, Table]) -> None:
    """Drop the tables of these names, and give the names to the new tables, in one transaction."""
    if connection.dialect.name == "postgresql":
        _take_over(connection, tables)
    else:
        _take_over_in_sqlite(connection, tables)


def _take_over(connection: Connection, tables: Mapping[str, Table]) -> None:
    for name, new in tables.items():
        said = connection.scalars(_AS_BEFORE, {"old": name, "new": new.name}).all()
        for statement in said:
            connection.exec_driver_sql(statement)
    # Together: they may refer to each other.
    names = ", ".join(_quoted(connection, name) for name in tables)
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {names}")
    _rename(connection, tables)


def _take_over_in_sqlite(connection: Connection, tables: Mapping[str, Table]) -> None:
    # It renames nothing while a view or a trigger speaks of a table that is not there.
    speaking = connection.execute(_SPEAKING).all()
    for kind, name, _ in speaking:
        connection.exec_driver_sql(f"DROP {kind} IF EXISTS {_quoted(connection, name)}")
    names = {new: name for name, new in tables.items()}
    for new in reversed(next(iter(names)).metadata.sorted_tables if names else []):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_quoted(connection, names[new])}")
    _rename(connection, tables)
    for _, _, statement in speaking:
        connection.exec_driver_sql(statement)


def _rename(connection: Connection, tables: Mapping[str, Table]) -> None:
    for name, new in tables.items():
        here, there = _quoted(connection, new.name), _quoted(connection, name)
        connection.exec_driver_sql(f"ALTER TABLE {here} RENAME TO {there}")


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)
