"""Repositories: aggregates loaded from a store, saved to it, decided upon again on a conflict."""

from dashtam_events.repository.repository import Repository

__all__ = ["Repository"]
