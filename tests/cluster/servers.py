"""What there is beyond one database: a standby that streams from it, and PgBouncers before both."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from service.embedded import Cluster
from service.embedded.cluster import SUPERUSER
from service.embedded.programs import programs_for
from tests.support.processes import environment, free_port, running

ROOT = Path(__file__).parents[2]
POOLERS = ROOT / ".venv" / "pgbouncer"
"""Where .ci/pgbouncer unpacks them, by Debian's release."""


def standby_of(primary: Cluster, data: Path) -> Cluster:
    """Return a cluster, not started yet, that is a copy of another one and will follow it."""
    standby = Cluster(data)
    standby.data.mkdir(mode=0o711)
    programs, _ = programs_for(standby.data, None)
    secret = Path(shutil.copy(primary.data / "secret", standby.data))
    copied = standby.data / "new-standby"
    copied.mkdir(mode=0o700)
    for path in (secret, copied):
        os.chown(path, programs.account.uid, -1)
    source = primary.url("postgres", role=SUPERUSER, scheme="postgresql")
    programs.run(
        "pg_basebackup", f"--pgdata={copied}", f"--dbname={source}", "--write-recovery-conf", "--checkpoint=fast"
    )
    for lock in copied.glob(".s.PGSQL.*"):  # the other one's socket
        lock.unlink()
    copied.rename(standby.data / "cluster")
    return standby


def folder_of(cluster: Cluster) -> str:
    """Return where its socket is."""
    return parse_qs(urlsplit(cluster.url()).query)["host"][0]


@dataclass(frozen=True)
class Pooler:
    """A PgBouncer in transaction mode."""

    release: str
    prepares: bool
    """Whether it follows prepared statements, as it does since 1.21."""

    @property
    def setting(self) -> str:
        """What DB_POOLER says of it."""
        return "transaction" if self.prepares else "transaction-unprepared"


OLD, NEW = Pooler("bookworm", prepares=False), Pooler("trixie", prepares=True)
CONFIGURATION = """
[databases]
{databases}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 500
{prepared}
"""


@contextmanager
def pooled(pooler: Pooler, folder: Path, *names_for: Sequence[Cluster], size: int = 6) -> Iterator[list[str]]:
    """Run a PgBouncer with names for servers, of which it takes turns where a name is for several; give their URLs."""
    port, databases, names = free_port(), [], []
    for number, servers in enumerate(names_for):
        parts = urlsplit(servers[0].url())
        hosts = ",".join(folder_of(server) for server in servers)
        names.append(f"server{number}")
        databases.append(
            f"{names[-1]} = host={hosts} port=5432 dbname={parts.path[1:]}"
            f" user={parts.username} password={parts.password}"
        )
    folder.mkdir()
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        CONFIGURATION.format(
            databases="\n".join(databases),
            port=port,
            size=size,
            prepared="max_prepared_statements = 200" if pooler.prepares else "",
        )
    )
    root = POOLERS / pooler.release / "root"
    assert root.exists(), f"{root} is missing: make test-cluster fetches it, on Debian"
    loader = next(path for path in root.rglob("ld-linux-*") if not path.is_symlink())
    libraries = {path.parent for path in root.rglob("lib*.so*")}
    command = (loader, "--library-path", ":".join(map(str, libraries)), root / "usr" / "sbin" / "pgbouncer")
    account = ("--user", "nobody") if os.geteuid() == 0 else ()  # it refuses root
    with running(*command, *account, configuration, folder=folder, env=environment(), told="process up"):
        yield [f"postgresql://postern@127.0.0.1:{port}/{name}" for name in names]
