"""SQLAlchemy's sessions as the bus uses them: savepoints, the commit, and engines that keep them.

It needs the extra `sqlalchemy`.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Literal, Self

from dashtam_events.errors import MissingExtra, SavepointsNotReal, TransactionContractViolation

try:
    from sqlalchemy import Column, Connection, Integer, MetaData, Table, event, func, select
    from sqlalchemy.exc import (
        DBAPIError,
        InvalidRequestError,
        OperationalError,
        PendingRollbackError,
        SQLAlchemyError,
    )
    from sqlalchemy.ext.asyncio import (
        AsyncEngine,
        AsyncSession,
        AsyncSessionTransaction,
        async_scoped_session,
    )
    from sqlalchemy.orm import Session, SessionTransaction
except ImportError as _absent:
    raise MissingExtra("sqlalchemy") from _absent

__all__ = ["BEGIN", "SessionScope", "check_savepoints", "real_savepoints", "refused_as_dbapi"]

BEGIN: Final = "dashtam_events_begin"
"""The execution option of a connection that begins otherwise than its engine was told to."""

_WATCH = "dashtam_events.watch"


class _Watch:
    """What is to come of the transactions of one session, and which of them is not to end now.

    It is kept with its session and hears of all that begins and ends there; it does not hold on
    to the session.
    """

    def __init__(self) -> None:
        self.guarded: SessionTransaction | None = None
        self.commit_prevented = False
        self._awaiting: dict[SessionTransaction, list[Callable[[], None]]] = {}
        self._outliving: dict[SessionTransaction, list[Callable[[], None]]] = {}

    @classmethod
    def over(cls, session: Session) -> "_Watch":
        """The watch of a session, set up when it is first asked for."""
        watch: _Watch | None = session.info.get(_WATCH)
        if watch is None:
            watch = session.info[_WATCH] = cls()
            event.listen(session, "before_commit", watch.before_commit)
            event.listen(session, "after_commit", watch.after_commit)
            event.listen(session, "after_transaction_end", watch.after_transaction_end)
        return watch

    def keep(self, transaction: SessionTransaction, action: Callable[[], None]) -> None:
        self._awaiting.setdefault(transaction, []).append(action)

    def outlive(self, transaction: SessionTransaction, action: Callable[[], None]) -> None:
        self._outliving.setdefault(transaction, []).append(action)

    def before_commit(self, session: Session) -> None:
        """Let a handler release savepoints of its own, but not commit what it was given."""
        if self.guarded is not None and session.get_nested_transaction() is self.guarded:
            self.commit_prevented = True
            raise TransactionContractViolation("a transactional handler", "it called commit()")

    def after_commit(self, session: Session) -> None:
        """Act on the outermost commit; what a released savepoint awaits, its outer one does."""
        released = session.get_nested_transaction()
        if released is None:
            outermost = session.get_transaction()
            for action in self._awaiting.pop(outermost, []) if outermost else []:
                action()
        elif released in self._awaiting:
            self._awaiting.setdefault(_around(released), []).extend(self._awaiting.pop(released))

    def after_transaction_end(self, _session: Session, transaction: SessionTransaction) -> None:
        """Forget what waited for a commit that never came; act on an end of either kind."""
        self._awaiting.pop(transaction, None)
        with ExitStack() as all_of_them:
            for action in reversed(self._outliving.pop(transaction, [])):
                all_of_them.callback(action)


def _around(transaction: SessionTransaction) -> SessionTransaction:
    """The savepoint or the outermost transaction that a savepoint stands in."""
    outer = transaction.parent
    while outer is not None and outer.parent is not None and not outer.nested:
        outer = outer.parent
    return outer or transaction


class SessionScope:
    """The publisher's session, for the length of a publish."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self._sync = session.sync_session
        self._watch = _Watch.over(self._sync)

    @classmethod
    def of(cls, given: Any) -> Self:
        """The scope of what was passed to `publish`.

        Raises:
            TypeError: it is no asynchronous session of SQLAlchemy.
        """
        session = given() if isinstance(given, async_scoped_session) else given
        if not isinstance(session, AsyncSession):
            raise TypeError("session must be an AsyncSession of SQLAlchemy")
        return cls(session)

    def after_commit(self, action: Callable[[], None]) -> bool:
        """Do it once, after the outermost commit; False where there is no transaction.

        It is not done where the transaction, or the savepoint that is open now, is rolled back.
        """
        transaction = self._sync.get_nested_transaction() or self._sync.get_transaction()
        if transaction is not None:
            self._watch.keep(transaction, action)
        return transaction is not None

    def after_end(self, action: Callable[[], None]) -> bool:
        """Do it once, after the outermost transaction, however it ends; False where there is none.

        It is done in the `commit`, `rollback` or `close` that ends it, in its greenlet, when its
        connection is given back.
        """
        outermost = self._sync.get_transaction()
        if outermost is not None:
            self._watch.outlive(outermost, action)
        return outermost is not None

    async def in_savepoint(
        self, handler: str, call: Callable[[], Awaitable[None]]
    ) -> Exception | None:
        """Run a handler's call in a savepoint; the error for which it was undone, or None.

        Raises:
            SavepointsNotReal: on SQLite, releasing the savepoint would commit: nothing was done.
            TransactionContractViolation: it ended more than was its own.
            Exception: what it raised, where that could not be undone.
        """
        if self._sync.bind is not None and self._sync.bind.dialect.name == "sqlite":
            await self.session.run_sync(_refuse_outermost)
        savepoint = await self.session.begin_nested()
        guard = _Guard(self._sync, self._watch, savepoint, handler)
        try:
            with guard:
                await call()
                await self.session.flush()
        except TransactionContractViolation as error:
            await _undo(savepoint, error)
            raise
        except Exception as error:  # noqa: BLE001  # what becomes of it, the subscription says
            await _undo(savepoint, error)
            return error
        except BaseException as error:
            await _undo(savepoint, error)
            raise
        return await _release(savepoint, handler)


def _refuse_outermost(session: Session) -> None:
    """Refuse a savepoint on a connection that SQLite sees in no transaction: it would be one."""
    driver: Any = session.connection().connection.driver_connection
    if not driver.in_transaction:
        raise SavepointsNotReal("sqlite")


class _Guard:
    """Watches over a savepoint while a handler works in it."""

    def __init__(
        self, session: Session, watch: _Watch, savepoint: AsyncSessionTransaction, handler: str
    ) -> None:
        self._session, self._watch, self._handler = session, watch, handler
        self._savepoint = savepoint.sync_transaction
        self._outermost = session.get_transaction()
        self._around = watch.guarded

    def __enter__(self) -> None:
        self._watch.guarded = self._savepoint
        self._watch.commit_prevented = False

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Find out whether all that was open is open still, whatever the handler told.

        Raises:
            TransactionContractViolation: it is not.
        """
        self._watch.guarded = self._around
        if self._watch.commit_prevented:
            self._watch.commit_prevented = False
            raise TransactionContractViolation(self._handler, "it called commit()") from error
        if self._session.get_transaction() is not self._outermost:
            deed = "it rolled back or closed the session"
            raise TransactionContractViolation(self._handler, deed) from error
        if self._session.get_nested_transaction() is not self._savepoint:
            deed = "it ended the savepoint it was given, or left one of its own open"
            raise TransactionContractViolation(self._handler, deed) from error


async def _undo(savepoint: AsyncSessionTransaction, error: BaseException) -> None:
    try:
        await savepoint.rollback()
    except SQLAlchemyError:
        # The transaction is lost with the savepoint; why the handler failed says more.
        pass
    else:
        return
    raise error


async def _release(savepoint: AsyncSessionTransaction, handler: str) -> Exception | None:
    """Release a savepoint; the error of a flush that the handler hid, once it was undone.

    The transaction may have been ended behind the session's back, on its connection.
    """
    try:
        await savepoint.commit()
    except PendingRollbackError as error:
        await _undo(savepoint, error)
        return error
    except (DBAPIError, InvalidRequestError) as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise
        deed = "it ended the transaction on its connection, or hid an error that broke it"
        raise TransactionContractViolation(handler, deed) from error
    return None


@contextmanager
def refused_as_dbapi() -> Generator[None]:
    """Let what asyncpg raises while it connects be a `DBAPIError`, like all that it raises later.

    SQLAlchemy 2.0 passes it on as it is.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "asyncpg":
            raise
        raise OperationalError(None, None, error) from error


def real_savepoints(
    engine: AsyncEngine, *, begin: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE"
) -> AsyncEngine:
    """Make the savepoints of a SQLite engine real; returns the engine. Others have them anyway.

    Left to itself, Python's driver begins a transaction late: a savepoint that comes first is
    then the outermost, and releasing it commits. Here each transaction begins with `BEGIN`. A
    connection may choose otherwise with the execution option `dashtam_events_begin="DEFERRED"`:
    one that only reads then neither waits for a writer nor keeps one waiting.

    Args:
        engine: an engine for SQLite that is made for it, before its first use.
        begin: "IMMEDIATE" takes the lock for writing at the start, and waits for it there;
            "DEFERRED" at the first write, where it may fail at once with "database is locked".
    """
    listener = _begin_immediate if begin == "IMMEDIATE" else _begin_deferred
    sync = engine.sync_engine
    if sync.dialect.name == "sqlite" and not event.contains(sync, "begin", listener):
        event.listen(sync, "begin", listener)
    return engine


def _begin_immediate(connection: Connection) -> None:
    _begin(connection, "IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    _begin(connection, "DEFERRED")


def _begin(connection: Connection, default: str) -> None:
    driver: Any = connection.connection.dbapi_connection
    if driver.isolation_level is not None:
        driver.isolation_level = None
    begin = connection.get_execution_options().get(BEGIN, default)
    connection.exec_driver_sql(f"BEGIN {begin}")


async def check_savepoints(engine: AsyncEngine) -> None:
    """Try on a temporary table whether a rollback undoes what a released savepoint wrote.

    Raises:
        SavepointsNotReal: it does not: `real_savepoints` mends it.
    """
    probe = Table("dashtam_events_probe", MetaData(), Column("n", Integer), prefixes=["TEMPORARY"])
    async with engine.connect() as connection:
        await connection.run_sync(probe.create)
        await connection.commit()
        try:
            async with connection.begin_nested():
                await connection.execute(probe.insert().values(n=1))
            await connection.rollback()
            left = await connection.scalar(select(func.count()).select_from(probe))
        finally:
            await connection.run_sync(probe.drop)
            await connection.commit()
    if left:
        raise SavepointsNotReal(engine.dialect.name)
