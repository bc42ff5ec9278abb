"""Rebuilding tables that refer to each other, and that others were given or built upon."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Text, event, select, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from dashtam_events.recorded import RecordedEvent
from dashtam_events.store import EventStore
from dashtam_events.subscriptions import ProjectionHasDependents
from dashtam_events.subscriptions.sql import Projection, Projector, rebuild, upsert
from tests.databases import new_database
from tests.subscriptions.houses import DoorOpened, open_doors
from tests.subscriptions.stores import store_beside
from tests.subscriptions.walls import Openings


class Rooms(Projection):
    """Doors that belong to houses, and each to the door before it."""

    name = "rooms"
    types = (DoorOpened,)

    def define(self) -> None:
        self.houses = self.table("houses", Column("house", Text, primary_key=True))
        position = Column("position", BigInteger, primary_key=True, autoincrement=False)
        self.doors = self.table(
            "Doors",
            position,
            Column("house", Text, ForeignKey(self.houses.c.house), nullable=False),
            Column("earlier", BigInteger, ForeignKey(position)),
            Column("number", Integer),
        )

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, DoorOpened)
        house = str(recorded.stream)
        await upsert(connection, self.houses, house=house)
        last = select(self.doors.c.position).order_by(self.doors.c.position.desc()).limit(1)
        row = {"position": recorded.position, "house": house, "number": recorded.event.number}
        earlier = await connection.scalar(last)
        await connection.execute(self.doors.insert().values(earlier=earlier, **row))


class NamedRooms(Rooms):
    def define(self) -> None:
        self.houses = self.table("houses", Column("house", Text, primary_key=True))
        house = Column("house", Text, ForeignKey("houses.house"), primary_key=True)
        self.doors = self.table("Doors", house)


@pytest.fixture
async def store(engine: AsyncEngine) -> AsyncIterator[EventStore]:
    async with store_beside(engine) as store:
        await open_doors(store, 1, 2, 3)
        yield store


@pytest.fixture
async def on_postgresql(postgres: URL) -> AsyncIterator[AsyncEngine]:
    async with new_database(postgres) as url:
        engine = create_async_engine(url)
        yield engine
        await engine.dispose()


@pytest.fixture
async def log(on_postgresql: AsyncEngine) -> AsyncIterator[EventStore]:
    async with store_beside(on_postgresql) as store:
        await open_doors(store, 1, 2, 3)
        yield store


async def say(engine: AsyncEngine, *statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def ask(engine: AsyncEngine, question: str) -> object:
    async with engine.connect() as connection:
        return await connection.scalar(text(question))


@pytest.mark.parametrize("enforced", [False, True])
async def test_tables_that_refer_to_each_other_are_rebuilt(
    store: EventStore, engine: AsyncEngine, enforced: bool
) -> None:
    if enforced and engine.dialect.name == "sqlite":
        event.listen(
            engine.sync_engine,
            "connect",
            lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"),
        )
    await Projector(store, Rooms(), engine).run_once()
    for _ in range(2):
        await rebuild(store, Rooms(), engine)
    await open_doors(store, 4)
    await Projector(store, Rooms(), engine).run_once()
    assert await ask(engine, 'SELECT count(*) FROM "Doors" JOIN houses USING (house)') == 4


async def test_a_foreign_key_that_names_its_column_is_refused_at_once(
    store: EventStore, engine: AsyncEngine
) -> None:
    with pytest.raises(ValueError, match="rooms: Doors_rebuild: give a foreign key the column"):
        await rebuild(store, NamedRooms(), engine)


async def test_a_view_stays_in_sqlite_and_is_named_by_postgresql_before_the_replay(
    store: EventStore, engine: AsyncEngine
) -> None:
    view = Openings()
    await Projector(store, view, engine).run_once()
    made = "CREATE VIEW busy AS SELECT house FROM openings WHERE opened > 0"
    await say(engine, made)
    if engine.dialect.name == "postgresql":
        with pytest.raises(ProjectionHasDependents) as raised:
            await rebuild(store, view, engine)
        assert raised.value.dependents == ("view busy",)
        assert await ask(engine, "SELECT to_regclass('openings_rebuild')") is None
        await say(engine, "DROP VIEW busy")
        await rebuild(store, view, engine)
        await say(engine, made)
    else:
        await rebuild(store, view, engine)
    assert await ask(engine, "SELECT count(*) FROM busy") == 1


async def test_a_trigger_of_somebody_else_stays_in_sqlite(
    store: EventStore, engine: AsyncEngine
) -> None:
    if engine.dialect.name != "sqlite":
        return
    view = Openings()
    await Projector(store, view, engine).run_once()
    await say(
        engine,
        "CREATE TABLE told (number INTEGER)",
        "CREATE TRIGGER tell AFTER INSERT ON openings_journal "
        "BEGIN INSERT INTO told VALUES (new.number); END",
    )
    await rebuild(store, view, engine)
    await open_doors(store, 4)
    await Projector(store, view, engine).run_once()
    assert await ask(engine, "SELECT sum(number) FROM told") == 4


async def test_a_foreign_key_of_another_table_is_named(
    store: EventStore, engine: AsyncEngine
) -> None:
    await Projector(store, Rooms(), engine).run_once()
    await say(engine, "CREATE TABLE tenants (house TEXT REFERENCES houses (house))")
    with pytest.raises(ProjectionHasDependents, match="table tenants"):
        await rebuild(store, Rooms(), engine)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (
            (
                "CREATE TRIGGER tell BEFORE UPDATE ON openings FOR EACH ROW "
                "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
            ),
            "trigger tell",
        ),
        ("CREATE POLICY own ON openings USING (house = current_user)", "policy own"),
        (
            "CREATE FUNCTION busiest(openings) RETURNS integer LANGUAGE sql AS 'SELECT $1.opened'",
            "function busiest",
        ),
    ],
)
async def test_whatever_postgresql_would_break_or_lose_is_named(
    log: EventStore, on_postgresql: AsyncEngine, statement: str, named: str
) -> None:
    await Projector(log, Openings(), on_postgresql).run_once()
    await say(on_postgresql, statement)
    with pytest.raises(ProjectionHasDependents, match=named):
        await rebuild(log, Openings(), on_postgresql)


async def test_the_new_tables_have_the_privileges_of_the_old(
    log: EventStore, on_postgresql: AsyncEngine
) -> None:
    await Projector(log, Openings(), on_postgresql).run_once()
    role = (await ask(on_postgresql, "SELECT 'a \"reader\" of ' || current_database()")) or ""
    quoted = '"' + str(role).replace('"', '""') + '"'
    await say(
        on_postgresql,
        f"CREATE ROLE {quoted}",
        f"GRANT SELECT ON openings TO {quoted} WITH GRANT OPTION",
        f"GRANT UPDATE (number) ON openings_journal TO {quoted}",
        "GRANT SELECT ON openings_journal TO PUBLIC",
        f"ALTER DEFAULT PRIVILEGES GRANT DELETE ON TABLES TO {quoted}",
        "ALTER TABLE openings ENABLE ROW LEVEL SECURITY",
    )
    may = f"has_table_privilege('{role}'"
    try:
        for _ in range(2):
            await rebuild(log, Openings(), on_postgresql)
            for held in (
                f"{may}, 'openings', 'SELECT WITH GRANT OPTION')",
                f"{may}, 'openings_journal', 'SELECT')",
                f"has_column_privilege('{role}', 'openings_journal', 'number', 'UPDATE')",
                f"NOT has_column_privilege('{role}', 'openings_journal', 'position', 'UPDATE')",
                f"NOT {may}, 'openings', 'INSERT')",
                f"NOT {may}, 'openings', 'DELETE')",
                "relrowsecurity FROM pg_class WHERE relname = 'openings'",
            ):
                assert await ask(on_postgresql, f"SELECT {held}") is True, held
    finally:
        await say(on_postgresql, f"DROP OWNED BY {quoted}", f"DROP ROLE {quoted}")
