"""`dashtam-events migrate`: makes or brings up the tables of a PostgreSQL store."""

import asyncio

import click

__all__ = ["migrate"]


@click.command()
@click.argument("url")
@click.option("--schema", default="events", show_default=True, help="The namespace of the tables.")
@click.option(
    "--partition-size",
    type=click.IntRange(min=1),
    help="Where the tables are made now: put so many events into each partition.",
)
def migrate(url: str, schema: str, partition_size: int | None) -> None:
    """Bring the event store in the PostgreSQL database at URL to this release's schema.

    It works in one transaction, never backwards, and may be run by many at once and again.
    """
    # The extra `postgres` is needed here, and not by the other commands.
    from dashtam_events.store.postgres import migrate as bring_up

    try:
        done = asyncio.run(bring_up(url, schema=schema, partition_size=partition_size))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if done.before == done.after:
        click.echo(f"{done.schema}: at version {done.after} already")
    elif done.before == 0:
        click.echo(f"{done.schema}: created, at version {done.after}")
    else:
        click.echo(f"{done.schema}: brought from version {done.before} to {done.after}")
