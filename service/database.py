"""Which database a process works on: the one that the settings name, else, outside production, the embedded one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.config import DatabaseSettings
from service.embedded import Cluster


def data_folder() -> Path:
    """Return where development keeps its data: POSTERN_DATA_DIR, else `.data` in the working directory."""
    return Path(os.environ.get("POSTERN_DATA_DIR") or ".data").absolute()


@contextmanager
def database(settings: DatabaseSettings) -> Iterator[str]:
    """Give the database's URL, and keep the embedded server up meanwhile when it is the one.

    To be entered from the main thread, without a running event loop.

    Raises:
        EmbeddedPostgresError: it can't be started; the message says what to do.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with Cluster(data_folder() / "postgres") as cluster:
        cluster.ensure_database()
        yield cluster.url()
