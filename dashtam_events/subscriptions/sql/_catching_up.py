"""Writing what a projection has yet to see, in a transaction that somebody else ends."""

from sqlalchemy import func, select, true
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions._batches import (
    Filter,
    Item,
    Unreadable,
    read_batch,
    type_of,
)
from dashtam_events.subscriptions._elsewhere import cancelled_elsewhere
from dashtam_events.subscriptions._parking import unfit
from dashtam_events.subscriptions.checkpoint import Checkpoint
from dashtam_events.subscriptions.errors import (
    PartitionMismatch,
    ProjectionFailed,
    ProjectionOutdated,
    SubscriptionTablesMissing,
)
from dashtam_events.subscriptions.sql.checkpoints import lock, stored
from dashtam_events.subscriptions.sql.projection import Projection
from dashtam_events.subscriptions.sql.schema import name_of, parked_events, unavailable

__all__ = ["begun", "write_batch"]

_BATCH = 500


async def write_batch(
    connection: AsyncConnection, projection: Projection, store: EventStore
) -> bool:
    """Write some events that a projection has yet to see; True where there are no more."""
    try:
        async with unavailable(projection.name):
            checkpoint = await begun(connection, projection)
    except SubscriptionTablesMissing:
        raise SubscriptionTablesMissing(projection.name, "catch_up()") from None
    wanted = Filter(types=projection.types, categories=projection.categories)
    batch = await read_batch(store, checkpoint.position, wanted, _BATCH)
    for item in batch.items:
        await _apply(connection, projection, item)
    if batch.reached != checkpoint.position:
        async with unavailable(projection.name):
            await lock(connection, checkpoint, to=batch.reached)
    return batch.is_last


async def begun(connection: AsyncConnection, projection: Projection) -> Checkpoint:
    """The checkpoint, which nobody else moves before this transaction ends.

    Raises:
        SubscriptionTablesMissing: it was never begun.
        ProjectionOutdated: the tables are those of another version.
        ProjectionFailed: a projector has set an event aside.
        PartitionMismatch: it is written by a consumer group.
    """
    name, version = projection.name, projection.version
    found = await stored(connection, name, true(), hold=True)
    if not found:
        raise SubscriptionTablesMissing(name, "catch_up()")
    if len(found) != 1:
        raise PartitionMismatch(name, len(found), 1)
    checkpoint = found[0]
    if checkpoint.version != version:
        raise ProjectionOutdated(name, checkpoint.version, version)
    table = parked_events.c
    earliest = select(func.min(table.position)).where(table.subscription == name)
    parked = await connection.scalar(earliest)
    if parked is not None:
        raise ProjectionFailed(name, parked, "a projector has parked it: replay or drop it")
    return checkpoint


async def _apply(connection: AsyncConnection, projection: Projection, item: Item) -> None:
    if isinstance(item, Unreadable):
        reason = f"{type_of(item)} cannot be read"
        raise ProjectionFailed(projection.name, item.position, reason) from item.error
    if unfit(item) is not None:
        reason = f"{type_of(item)} is not in the registry"
        raise ProjectionFailed(projection.name, item.position, reason)
    try:
        with cancelled_elsewhere(projection.name):
            await projection.apply(connection, item)
    except SQLAlchemyError as error:
        # It quotes the values of its statement, and must not stay as cause or context.
        raised = name_of(error)
    except Exception as error:
        reason = f"applying {type_of(item)} raised {type(error).__name__}"
        raise ProjectionFailed(projection.name, item.position, reason) from error
    else:
        return
    reason = f"applying {type_of(item)} raised {raised}"
    raise ProjectionFailed(projection.name, item.position, reason)
