"""A durable PostgreSQL that can be killed, stopped, continued and started again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import alembic.command
import alembic.config
import asyncpg
from service.embedded import Cluster
from service.embedded.cluster import SUPERUSER
from tests.support.processes import children_of, lives, wait_until

ROOT = Path(__file__).parents[2]
OURS = "FROM pg_stat_activity WHERE application_name = 'postern'"


class Database:
    """One cluster; to be used from the main thread."""

    def __init__(self, folder: Path) -> None:
        self._cluster = Cluster(folder / "data")
        self._folder = folder / "data" / "cluster"
        self._cluster.start()
        self._cluster.ensure_database()
        self.url = self._cluster.url()
        config = alembic.config.Config(ROOT / "alembic.ini", attributes={"database_url": self.url})
        alembic.command.upgrade(config, "head")

    def stop(self) -> None:
        """End it in peace."""
        self._cluster.stop()

    def kill(self) -> None:
        """End the postmaster by SIGKILL, and wait until its children have noticed."""
        processes = self._processes()
        os.kill(processes[0], signal.SIGKILL)
        wait_until(lambda: not any(map(lives, processes)))

    def start(self) -> None:
        """Start it again; it recovers."""
        self._cluster.stop()
        self._cluster.start()

    def freeze(self) -> None:
        """Stop all of its processes where they are."""
        for process in self._processes():
            os.kill(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        for process in self._processes():
            os.kill(process, signal.SIGCONT)

    async def reset(self) -> int:
        """End all connections of the service; return how many there were."""
        return len(await self.ask(f"SELECT pg_terminate_backend(pid) {OURS}"))

    async def ask(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Run a statement in the service's database, as the one who may do everything."""
        connection = await asyncpg.connect(self._cluster.url(role=SUPERUSER, scheme="postgresql"), timeout=10)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *values)
            return rows
        finally:
            await connection.close()

    def _processes(self) -> list[int]:
        postmaster = int((self._folder / "postmaster.pid").read_text().split("\n")[0])
        return [postmaster, *children_of(postmaster)]
