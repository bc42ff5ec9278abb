"""The option `--registry`: which events a command knows, beside those of the catalogue."""

import sys
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

import click

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.event import spec_of
from dashtam_events.registry import EventRegistry

__all__ = ["check_category", "registry_option"]


def check_category(registry: EventRegistry, categories: Collection[str]) -> None:
    """Refuse a category that no known event declares.

    Raises:
        click.BadParameter: there is none of that name; it lists those there are.
    """
    known = sorted({spec_of(cls).category or "" for cls in registry} - {""})
    for category in categories:
        if category not in known:
            choices = ", ".join(map(repr, known))
            raise click.BadParameter(f"{category!r} is not one of {choices}.")


def _joined(_context: click.Context, _parameter: click.Parameter, given: Any) -> EventRegistry:
    registry = CATALOGUE
    for path in given:
        registry |= _loaded(path)
    return registry


def _loaded(path: str) -> EventRegistry:
    """The registry at MODULE:NAME; modules are looked for in the working directory too."""
    module, _, name = path.partition(":")
    sys.path[:0] = [""] if "" not in sys.path else []
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise click.BadParameter(f"cannot import {path!r}: {error}") from None
    if not isinstance(found, EventRegistry):
        raise click.BadParameter(f"{path!r} is no EventRegistry")
    return found


registry_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--registry",
    metavar="MODULE:NAME",
    multiple=True,
    callback=_joined,
    help="Know the events of this registry too; may be given several times.",
)
"""`--registry MODULE:NAME`, given to the command as the joined `registry`."""
