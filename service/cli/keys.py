"""`postern keys`: makes the key files that TOKEN_KEYS names, and lists what it names (docs/keys.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from service.cli.start import load, say, says_what_to_do, write_once
from service.config import ConfigurationError
from service.keys import configured_keys, new_pem, read_pem


@click.group("keys")
def keys() -> None:
    """Make and list the keys that sign tokens."""


@keys.command("make")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--algorithm", type=click.Choice(["EdDSA", "RS256"]), default="EdDSA", show_default=True)
@says_what_to_do
def make(path: Path, algorithm: Literal["EdDSA", "RS256"]) -> None:
    """Make a private key in a new PEM file that only its owner may read."""
    path = path.absolute()
    if "," in str(path):
        raise ConfigurationError([f"{str(path)!r} has a comma, which separates the paths in TOKEN_KEYS"])
    if not path.parent.is_dir():
        raise ConfigurationError([f"{str(path.parent)!r} is no folder: make it first"])
    try:
        write_once(path, new_pem(algorithm))
    except FileExistsError:
        raise ConfigurationError([f"{str(path)!r} is there already: keys are never overwritten"]) from None
    key, name = read_pem(path, private_only_to_us=True), click.format_filename(path)
    say(f"key {key.kid} ({key.algorithm}) made: {name}")
    say(f"next: put {name} at the end of TOKEN_KEYS and restart every process, then at its beginning (docs/keys.md)")


@keys.command("list")
@says_what_to_do
def list_keys() -> None:
    """List the keys that TOKEN_KEYS names: kid, algorithm, whether it signs new tokens or only verifies, source."""
    for number, key in enumerate(configured_keys(load())):
        use = "verifies" if number else "signs"
        click.echo(f"{key.kid}  {key.algorithm}  {use}  {click.format_filename(key.source)}")
