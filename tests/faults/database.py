"""A durable PostgreSQL that can be killed, stopped, continued and started again."""

from __future__ import annotations

from pathlib import Path

import alembic.command
import alembic.config
import asyncpg
from service.embedded import Cluster
from service.embedded.cluster import SUPERUSER
from tests.support import postgres

ROOT = Path(__file__).parents[2]
OURS = "FROM pg_stat_activity WHERE application_name = 'postern'"


class Database:
    """One cluster; to be used from the main thread."""

    def __init__(self, folder: Path) -> None:
        self._cluster = Cluster(folder / "data")
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
        postgres.kill(self._cluster)

    def start(self) -> None:
        """Start it again; it recovers."""
        self._cluster.stop()
        self._cluster.start()

    def freeze(self) -> None:
        """Stop all of its processes where they are."""
        postgres.freeze(self._cluster)

    def thaw(self) -> None:
        """Let them go on."""
        postgres.thaw(self._cluster)

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
