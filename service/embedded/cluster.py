"""A PostgreSQL below one folder: made, started, shared, stopped; where its programs come from is elsewhere.

<data>/         0711, locked by the process that owns the server
    cluster/    PostgreSQL's own directory, 0700, with its socket
    secret      the password of both roles, 0600
    log         what the server has said since its last start, 0600
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

import asyncpg

from service.embedded.errors import EmbeddedPostgresError
from service.embedded.postmaster import clear_the_way, end, postmaster, wait
from service.embedded.programs import Programs, programs_for

APPLICATION = "postern"
SUPERUSER = "postgres"

_PORT = "5432"
_SETTINGS = {
    "listen_addresses": "",
    "port": _PORT,
    "max_connections": "100",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_EPHEMERAL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
_SOCKET_LIMIT_BYTES = 103  # of a socket's path on macOS; Linux has room for 107


class Cluster:
    """A PostgreSQL below one folder, owned by the first process that starts it and shared by later ones.

    The server ends with its owner, even by ``kill -9`` (on Linux; elsewhere the next start ends it). An
    ephemeral one is fast, not durable, and deletes the folder when its owner stops it.
    """

    def __init__(self, data: Path, *, ephemeral: bool = False) -> None:
        self.data = data.resolve()
        self.ephemeral = ephemeral
        self._cluster = self.data / "cluster"
        self._secret = self.data / "secret"
        self._log = self.data / "log"
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the server, or attach to the one that another process has started.

        Raises:
            EmbeddedPostgresError: it cannot run here, or this is not the main thread.
        """
        if threading.current_thread() is not threading.main_thread():
            # The kernel takes the end of the thread that started the server for the end of its parent.
            raise EmbeddedPostgresError("start the embedded PostgreSQL from the main thread")
        if self._lock is None and self._own_or_attach():
            try:
                self._launch()
            except BaseException:
                self.stop()
                raise
        return self

    def stop(self) -> None:
        """Stop the server if this process owns it; else leave it alone."""
        if self._lock is None:
            return
        if self._process is not None:  # else the start was refused, and what is there is not ours to remove
            end(self._process, is_kept=not self.ephemeral)
            if self._socket_folder != self._cluster:
                shutil.rmtree(self._socket_folder, ignore_errors=True)
            if self.ephemeral:
                shutil.rmtree(self.data, ignore_errors=True)
        os.close(self._lock)
        self._lock = self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(
        self,
        database: str = APPLICATION,
        *,
        role: str = APPLICATION,
        scheme: str = "postgresql+asyncpg",
    ) -> str:
        """Where the running server is reached: by SQLAlchemy, or with the scheme ``postgresql`` by asyncpg.

        Raises:
            EmbeddedPostgresError: no server runs.
        """
        server = postmaster(self._cluster)
        if server is None:
            raise EmbeddedPostgresError(f"no PostgreSQL runs in {self.data}: start it first")
        # The port is said because asyncpg would take another one from PGPORT.
        where = urlencode({"host": server.socket_folder, "port": _PORT}, safe="/")
        return f"{scheme}://{role}:{self._secret.read_text()}@/{database}?{where}"

    def ensure_database(self, name: str = APPLICATION) -> None:
        """Create the application's role, which is no superuser, and this database of its, if missing."""
        asyncio.run(self._create(name))

    async def _create(self, name: str) -> None:
        connection = await asyncpg.connect(
            self.url("postgres", role=SUPERUSER, scheme="postgresql"),
            # A refused statement would be logged, with its password.
            server_settings={"log_min_messages": "fatal"},
        )
        # A unique index refuses what another process creates in this moment.
        exists = (asyncpg.DuplicateObjectError, asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError)
        quoted = "select format($1, variadic $2::text[])"
        try:
            for template, *values in (
                ("create role %I login createdb password %L", APPLICATION, self._secret.read_text()),
                ("create database %I owner %I template template0", name, APPLICATION),
            ):
                statement = await connection.fetchval(quoted, template, values)
                with contextlib.suppress(*exists):
                    await connection.execute(statement)
        finally:
            await connection.close()

    def _own_or_attach(self) -> bool:
        """Wait until this process has the lock, or the server of the one that has it is ready."""
        wait(
            lambda: self._take_lock() or self._is_ready(),
            f"another process holds {self.data}, and its PostgreSQL does not answer: end that process",
        )
        return self._lock is not None

    def _take_lock(self) -> bool:
        self._claim_folder()
        lock = os.open(self.data, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    def _claim_folder(self) -> None:
        try:
            self.data.parent.mkdir(parents=True, exist_ok=True)
            # Another account may pass through to the cluster, but not open the folder, and so not lock it.
            self.data.mkdir(mode=0o711, exist_ok=True)
            uid = self.data.stat().st_uid
            names = {path.name.partition("-")[0] for path in self.data.iterdir()}
        except OSError as problem:
            raise EmbeddedPostgresError(
                f"{self.data} is of no use ({problem.strerror}): choose another folder, or set DATABASE_URL"
            ) from problem
        if uid != os.geteuid():
            raise EmbeddedPostgresError(
                f"{self.data} is uid {uid}'s: run as that user, choose another folder, or set DATABASE_URL"
            )
        if names - {"secret", "log", "new"} and not (self._cluster / "PG_VERSION").exists():
            raise EmbeddedPostgresError(f"{self.data} is not empty and has no cluster: choose another folder")

    def _launch(self) -> None:
        clear_the_way(self._cluster)
        owner = self._cluster.stat().st_uid if self._cluster.exists() else None
        programs, version = programs_for(self.data, owner)
        if owner is None:
            self._make(programs, version)
        self._check_version(programs, version)
        self._serve(programs)

    def _make(self, programs: Programs, version: int) -> None:
        for killed in self.data.glob("new-*"):
            shutil.rmtree(killed, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix="new-", dir=self.data))
        self._secret.unlink(missing_ok=True)
        self._secret.touch(mode=0o600)
        self._secret.write_text(secrets.token_urlsafe(24))
        for path in (self._secret, new):
            os.chown(path, programs.account.uid, -1)
        try:
            programs.run("initdb", *self._initdb_options(new, version))
            new.rename(self._cluster)  # atomic: a cluster is whole, or is not there
        except subprocess.CalledProcessError as problem:
            said = " ".join(problem.stderr.split())
            message = f"initdb failed, mend what it says or set DATABASE_URL: {said}"
            raise EmbeddedPostgresError(message) from problem
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _initdb_options(self, new: Path, version: int) -> list[str]:
        # The builtin locale is the same everywhere; before 17 the system's own must do.
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        return [
            *(builtin if version >= 17 else ["--locale=C.UTF-8"]),
            *(["--no-sync"] if self.ephemeral else []),
            "--encoding=UTF8",
            "--data-checksums",
            "--auth=scram-sha-256",
            f"--username={SUPERUSER}",
            f"--pwfile={self._secret}",
            f"--pgdata={new}",
        ]

    def _check_version(self, programs: Programs, version: int) -> None:
        made = (self._cluster / "PG_VERSION").read_text().strip()
        if made != str(version):
            raise EmbeddedPostgresError(
                f"{self.data} was made by PostgreSQL {made}, and {programs.binaries} is {version}: set"
                f" POSTERN_PG_BIN to the programs of {made}, or move the folder away to begin anew"
            )

    def _serve(self, programs: Programs) -> None:
        self._make_socket_folder(programs.account.uid)
        settings = _SETTINGS | {"unix_socket_directories": str(self._socket_folder)}
        settings |= _EPHEMERAL if self.ephemeral else {}
        options = [f"--{name}={value}" for name, value in settings.items()]
        self._process = programs.serve(self._log, "-D", str(self._cluster), *options)
        wait(self._has_started, f"PostgreSQL is not ready yet: read {self._log}")

    def _has_started(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            said = [line for line in self._log.read_text(errors="replace").splitlines() if "FATAL" in line]
            raise EmbeddedPostgresError(f"PostgreSQL did not start, read {self._log}: {' '.join(said)}")
        return self._is_ready()

    def _is_ready(self) -> bool:
        server = postmaster(self._cluster)
        return server is not None and server.ready

    @property
    def _socket_folder(self) -> Path:
        """The cluster, or a short stand-in where a socket's address or a URL has no room for its path."""
        path = str(self._cluster)
        if len(os.fsencode(f"{path}/.s.PGSQL.{_PORT}")) <= _SOCKET_LIMIT_BYTES and not set(",:") & set(path):
            return self._cluster
        # Named after the path: what a kill -9 leaves behind is used again by the next start, then removed.
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"{APPLICATION}-{digest}"

    def _make_socket_folder(self, uid: int) -> None:
        folder = self._socket_folder
        if folder == self._cluster:
            return
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if found.st_uid not in (os.geteuid(), uid) or found.st_mode != 0o040700:
            raise EmbeddedPostgresError(f"{folder} is somebody else's: remove it, or shorten the data's path")
        os.chown(folder, uid, -1)
