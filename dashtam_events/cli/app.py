"""The shape of the command line: its commands, its one-line errors and its exit codes."""

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

import click

from dashtam_events.cli.audit import audit
from dashtam_events.cli.catalogue import catalogue
from dashtam_events.cli.copy import copy
from dashtam_events.cli.demo import demo
from dashtam_events.cli.history import log, stream
from dashtam_events.cli.migrate import migrate
from dashtam_events.cli.parked import parked
from dashtam_events.connection.diagram import mermaid
from dashtam_events.errors import DashtamEventsError

__all__ = ["command"]

_UNUSABLE, _INTERRUPTED = 2, 130


def _version() -> str:
    try:
        return version("dashtam-events")
    except PackageNotFoundError:
        return "unknown (not installed)"


class _OneLineErrors(click.Group):
    """A group that says in one line why it will not go on."""

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run a command and exit; see `dashtam_events.cli.main` for the codes."""
        options["standalone_mode"] = False
        try:
            code = super().main(*args, **options)
        except click.Abort:
            sys.exit(_INTERRUPTED)
        except click.ClickException as error:
            _refuse(error.format_message())
        except DashtamEventsError as error:
            _refuse(", ".join([str(error), *getattr(error, "__notes__", ())]))
        except OSError as error:
            # Else Python would try once more to write what could not be written, and say so.
            sys.stdout = None
            _refuse(error.strerror or type(error).__name__)
        sys.exit(code if isinstance(code, int) else 0)


def _refuse(why: str) -> NoReturn:
    click.echo(f"dashtam-events: {' '.join(why.split())}", err=True)
    sys.exit(_UNUSABLE)


@click.group(
    cls=_OneLineErrors,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with: dashtam-events demo",
)
@click.version_option(_version(), message="dashtam-events %(version)s")
@click.pass_context
def command(context: click.Context) -> None:
    """Say what happened, keep it, and tell everyone who must know.

    See a provider connection live through its life, and look into the files that event stores
    keep.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@click.command()
def diagram() -> None:
    """Print the life of a provider connection as a Mermaid diagram."""
    click.echo(mermaid(), nl=False)


for _each in (demo, log, stream, audit, catalogue, parked, diagram, migrate, copy):
    command.add_command(_each)
