"""The settings: a file for each group."""

from server.settings.settings import Settings

__all__ = ["Settings"]
