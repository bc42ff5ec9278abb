"""The tables of the PostgreSQL store and the function that appends, one text for each version."""

from hashlib import blake2b

__all__ = ["APPEND", "CHANNEL", "SCHEMA_VERSION", "check_schema", "lock_key", "migration"]

# `recorded_at` is in microseconds since 1970, as in the stores of one machine. There are no
# identity values: positions are given out by the function, under its lock. The two last indexes
# end in the position: a filtered log is read in order, without sorting.
_TABLES = """
CREATE TABLE {schema}.events (
    position bigint PRIMARY KEY,
    event_id uuid NOT NULL,
    stream text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    type text COLLATE "C" NOT NULL,
    schema_version integer NOT NULL,
    subject text COLLATE "C",
    recorded_at bigint NOT NULL,
    data bytea NOT NULL,
    metadata bytea
){layout};
{keys}
CREATE INDEX events_by_type ON {schema}.events (type, position);
CREATE INDEX events_by_subject ON {schema}.events (subject, position) WHERE subject IS NOT NULL;
CREATE TABLE {schema}.attachments (
    stream text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    data bytea,
    PRIMARY KEY (stream, name)
);
"""

# Appends that waited together come as arrays; each job in them is atomic for itself. Drafts are
# numbered from 1: `jobs`, `wheres` (in `streams`), `expected` (-1: any, -2: any but none), `sizes`,
# `metadata` and `instants` have an entry for each; events and attachments name their draft in
# `owners` and `holders`. The answer has an entry for each draft as well: the position behind which
# it stands, or -1: its job was refused, -2: for its sake, -3: some of its job's events are known.
# That is looked for where it is asked to be `careful`; otherwise a known event breaks a constraint,
# and nothing at all is written. Each draft must come with its events, numbered from 1 to its size:
# a role that may call this, and nothing else, leaves no hole in the positions or the versions.
#
# The lock is taken first and held until the commit, and everything is looked up and numbered
# behind it: that makes the order of positions that of commits. It needs READ COMMITTED, where each
# statement sees what was committed before it; an older snapshot would number anew what is taken.
# Plans are kept from when the table was small: without the setting they might scan it for ever.
# Small statements are planned once; one that asks for everything is planned anew at every call.
_APPEND = """
CREATE FUNCTION {schema}.append(
    wait integer, careful boolean, streams text[],
    jobs integer[], wheres integer[], expected bigint[], sizes integer[], metadata bytea[],
    instants bigint[],
    ids uuid[], types text[], schema_versions integer[], subjects text[], payloads bytea[],
    owners integer[], nths integer[],
    holders integer[], names text[], attached bytea[],
    OUT places bigint[], OUT heads integer[], OUT instant bigint
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET lock_timeout = 0
AS $append$
DECLARE
    start bigint; last bigint; before bigint;
    latest integer[]; earlier integer[]; known integer[];
    job integer := 0; first integer; head integer; verdict integer; written bigint;
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'appends need READ COMMITTED' USING ERRCODE = 'DE001';
    ELSIF 1 > ANY (sizes) THEN
        RAISE EXCEPTION 'sizes are from 1' USING ERRCODE = 'DE002';
    END IF;
    PERFORM set_config('lock_timeout', wait::text, true);
    PERFORM pg_advisory_xact_lock({key});

    SELECT e.position, e.recorded_at INTO start, instant
        FROM {schema}.events e ORDER BY e.position DESC LIMIT 1;
    start := coalesce(start, 0);
    instant := greatest(instant, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    FOR place IN 1 .. cardinality(streams) LOOP
        SELECT e.version INTO head
            FROM {schema}.events e WHERE e.stream = streams[place] ORDER BY e.version DESC LIMIT 1;
        latest[place] := coalesce(head, 0);
    END LOOP;
    last := start;
    IF careful THEN
        SELECT array_agg(jobs[given.owner]) INTO known
            FROM unnest(ids, owners) AS given (id, owner)
            CROSS JOIN LATERAL (
                SELECT FROM {schema}.events e WHERE e.event_id = given.id LIMIT 1
            ) e;
    END IF;

    FOR draft IN 1 .. cardinality(jobs) LOOP
        IF jobs[draft] <> job THEN
            job := jobs[draft];
            first := draft; before := last; earlier := latest;
            verdict := CASE WHEN job = ANY (known) THEN -3 ELSE 0 END;
        END IF;
        head := latest[wheres[draft]];
        heads[draft] := head;
        IF verdict < 0 THEN
            places[draft] := verdict;
        ELSIF expected[draft] IN (-1, head) OR expected[draft] = -2 AND head > 0 THEN
            places[draft] := last;
            last := last + sizes[draft];
            latest[wheres[draft]] := head + sizes[draft];
        ELSE
            FOR mate IN first .. draft - 1 LOOP
                places[mate] := -1;
            END LOOP;
            places[draft] := -2;
            verdict := -1; last := before; latest := earlier;
        END IF;
    END LOOP;
    IF last = start THEN
        RETURN;
    END IF;
{room}
    INSERT INTO {schema}.events
        SELECT places[e.owner] + e.nth, e.id, streams[wheres[e.owner]], heads[e.owner] + e.nth,
               e.type, e.schema_version, e.subject, coalesce(instants[e.owner], instant),
               e.data, metadata[e.owner]
        FROM unnest(ids, types, schema_versions, subjects, payloads, owners, nths)
            AS e (id, type, schema_version, subject, data, owner, nth)
        WHERE places[e.owner] >= 0 AND e.nth BETWEEN 1 AND sizes[e.owner];
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written IS DISTINCT FROM last - start THEN
        RAISE EXCEPTION 'the events are not those that the sizes say' USING ERRCODE = 'DE002';
    END IF;
    IF cardinality(names) > 0 THEN
        INSERT INTO {schema}.attachments AS kept
            SELECT DISTINCT ON (1, 2)
                   streams[wheres[a.holder]], a.name, heads[a.holder] + sizes[a.holder], a.data
            FROM unnest(holders, names, attached) WITH ORDINALITY AS a (holder, name, data, n)
            WHERE places[a.holder] >= 0
            ORDER BY 1, 2, a.n DESC
        ON CONFLICT (stream, name) DO UPDATE SET version = excluded.version, data = excluded.data;
    END IF;
    PERFORM pg_notify('{channel}', last::text);
END
$append$;
REVOKE ALL ON FUNCTION {schema}.append FROM PUBLIC;
"""

_WHOLE = """
ALTER TABLE {schema}.events ADD UNIQUE (event_id), ADD UNIQUE (stream, version);
"""
# Keys cannot be unique over partitions: what is unique stands in a table of its own, which the
# insert fills. Ids and streams are indexed in each partition as well, so that reading is the same.
_PARTITIONED = """
CREATE INDEX events_by_id ON {schema}.events (event_id);
CREATE INDEX events_by_stream ON {schema}.events (stream, version);
CREATE TABLE {schema}.events_0
    PARTITION OF {schema}.events FOR VALUES FROM (0) TO ({partition_size});
CREATE TABLE {schema}.event_keys (
    event_id uuid PRIMARY KEY,
    stream text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    UNIQUE (stream, version)
);
CREATE FUNCTION {schema}.keep_keys() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $keep_keys$
BEGIN
    INSERT INTO {schema}.event_keys SELECT event_id, stream, version FROM inserted;
    RETURN NULL;
END
$keep_keys$;
CREATE TRIGGER keep_keys AFTER INSERT ON {schema}.events
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION {schema}.keep_keys();
"""
# To attach a table disturbs nobody who reads; to make a partition at once would wait for them.
_ROOM = """
    FOR number IN start / {partition_size} + 1 .. last / {partition_size} LOOP
        EXECUTE format('CREATE TABLE {schema}.events_%s (LIKE {schema}.events INCLUDING ALL)',
                       number);
        EXECUTE format('ALTER TABLE {schema}.events ATTACH PARTITION {schema}.events_%s '
                       'FOR VALUES FROM (%s) TO (%s)',
                       number, {partition_size} * number::bigint,
                       {partition_size} * (number + 1)::bigint);
    END LOOP;
"""

# What makes each version of the schema out of the one before; only ever added to.
_MIGRATIONS = (_TABLES + _APPEND,)
SCHEMA_VERSION = len(_MIGRATIONS)

APPEND = """SELECT places, heads, instant FROM {schema}.append(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"""
"""How the function is called."""
CHANNEL = "dashtam_events_{schema}"
"""On which the function tells at which position the log ends."""


def check_schema(schema: str) -> None:
    """Raises ValueError where a name could not be written in SQL without quotes."""
    good = schema.isascii() and schema.isidentifier() and schema == schema.lower()
    if not (good and len(schema) <= 40 and not schema.startswith("pg_")):
        raise ValueError(
            "a schema is named in at most 40 small letters, digits and underscores, not pg_..."
        )


def migration(version: int, schema: str, partition_size: int | None) -> str:
    """What makes a version of the schema out of the one before, its names filled in."""
    whole = {"{layout}": "", "{keys}": _WHOLE, "{room}": ""}
    parts = {"{layout}": " PARTITION BY RANGE (position)", "{keys}": _PARTITIONED, "{room}": _ROOM}
    text = _MIGRATIONS[version - 1]
    for place, filling in (whole if partition_size is None else parts).items():
        text = text.replace(place, filling)
    return text.format(
        schema=schema,
        partition_size=partition_size,
        key=lock_key("append", schema),
        channel=CHANNEL.format(schema=schema),
    )


def lock_key(purpose: str, schema: str) -> int:
    """The key of an advisory lock; such a lock belongs to one database."""
    digest = blake2b(f"dashtam-events {purpose} {schema}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
