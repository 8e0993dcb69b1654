"""The `postern` command. Whatever goes wrong before the service runs is said in one line, with what to do about it."""

from service.cli.commands import main

__all__ = ["main"]
