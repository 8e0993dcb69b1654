"""The embedded PostgreSQL, started for real: as root or as an ordinary user, whoever runs the tests."""

import asyncio
import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from service.embedded import Cluster, EmbeddedPostgresError, accounts, postmaster, programs

ROOT = Path(__file__).parents[2]
IS_ROOT = os.geteuid() == 0
OWNER = """
import sys
from pathlib import Path
from service.embedded import Cluster
with Cluster(Path(sys.argv[1])) as cluster:
    cluster.ensure_database()
    print(cluster.url(scheme="postgresql"), flush=True)
    sys.stdin.read()
"""


def folder_others_pass() -> Path:
    """A new folder with a short path that other accounts can pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="pg-"))
    path.chmod(0o711)
    return path


@pytest.fixture
def folder() -> Iterator[Path]:
    path = folder_others_pass()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def data(folder: Path) -> Path:
    """A folder that does not exist yet."""
    return folder / "postgres"


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A cluster with the application's database, which does not run; a test gives it back so."""
    folder = folder_others_pass()
    with Cluster(folder / "postgres") as cluster:
        cluster.ensure_database()
    yield folder / "postgres"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def ephemeral() -> Iterator[Cluster]:
    """A cluster that runs."""
    folder = folder_others_pass()
    with Cluster(folder / "postgres", ephemeral=True) as cluster:
        cluster.ensure_database()
        yield cluster
    folder.rmdir()


@pytest.fixture
def short_temp(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of this test's own."""
    path = folder / "tmp"
    path.mkdir(mode=0o755)
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return path


@pytest.fixture(params=["long/" * 30, "with a:colon, and more"], ids=["too long", "not for a URL"])
def awkward(made: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The made cluster, moved to a path that needs a socket elsewhere."""
    path = made.parent / request.param / "postgres"
    path.parent.mkdir(parents=True, exist_ok=True)
    made.rename(path)
    yield path
    path.rename(made)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postmaster, "_PATIENCE_SECONDS", 0.05)


def wait_until(done: Callable[[], bool], limit_seconds: float = 20) -> None:
    deadline = time.monotonic() + limit_seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def ask(url: str, *statements: str) -> object:
    """Run statements, and return the first value that the last one gives."""

    async def talk() -> object:
        connection = await asyncpg.connect(url)
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    return asyncio.run(talk())


def plain(cluster: Cluster) -> str:
    return cluster.url(scheme="postgresql")


def spawn(data: Path) -> subprocess.Popen[str]:
    """Start another process that owns the server, or attaches to it, until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
    )


@contextlib.contextmanager
def another_process(data: Path) -> Iterator[subprocess.Popen[str]]:
    with spawn(data) as process:
        try:
            yield process
        finally:
            process.kill()
    wait_until(lambda: server_pid(data) is None)


def said_by(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def server_pid(data: Path) -> int | None:
    server = postmaster.postmaster(data / "cluster")
    return server.pid if server else None


def living_server_pid(data: Path) -> int:
    pid = server_pid(data)
    assert pid is not None
    return pid


def others_pass(path: Path) -> bool:
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))


def namespaces_work() -> bool:
    unshare = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x10000000) != 0)"
    return subprocess.run([sys.executable, "-c", unshare], check=False).returncode == 0


def program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def start_refused(cluster: Cluster) -> str:
    with pytest.raises(EmbeddedPostgresError) as refused:
        cluster.start()
    message = str(refused.value)
    assert "\n" not in message
    return message


# A server, and what it holds


def test_the_first_start_makes_a_cluster_and_the_applications_database(ephemeral: Cluster) -> None:
    whose = "select current_database() || ' of ' || current_user"
    assert ask(plain(ephemeral), whose) == "postern of postern"


def test_the_applications_role_may_create_databases_and_is_no_superuser(ephemeral: Cluster) -> None:
    role = "select format('%s %s', rolcreatedb, rolsuper) from pg_roles where rolname = current_user"
    assert ask(plain(ephemeral), role) == "t f"


def test_a_restart_keeps_the_data(made: Path) -> None:
    with Cluster(made) as cluster:
        ask(plain(cluster), "create table kept as select 42 as answer")
        cluster.stop()
        cluster.start()
        assert ask(plain(cluster), "select answer from kept") == 42


def test_a_second_start_of_the_same_cluster_changes_nothing(ephemeral: Cluster) -> None:
    before = living_server_pid(ephemeral.data)
    ephemeral.start()
    assert living_server_pid(ephemeral.data) == before


def test_ensuring_a_database_again_changes_nothing_and_logs_no_password(ephemeral: Cluster) -> None:
    for _ in range(2):
        ephemeral.ensure_database('od"d')
    both = "select count(*) from pg_database where datname in ('postern', 'od\"d')"
    assert ask(plain(ephemeral), both) == 2
    log = (ephemeral.data / "log").read_text()
    assert "ERROR" not in log
    assert "password" not in log


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listen_addresses", ""),
        ("max_connections", "100"),
        ("jit", "off"),
        ("timezone", "UTC"),
        ("fsync", "off"),
        ("password_encryption", "scram-sha-256"),
        ("data_checksums", "on"),
    ],
)
def test_the_server_is_set_up(ephemeral: Cluster, setting: str, value: str) -> None:
    assert ask(plain(ephemeral), f"select current_setting('{setting}')") == value


def test_a_wrong_password_is_refused(ephemeral: Cluster) -> None:
    secret = (ephemeral.data / "secret").read_text()
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(plain(ephemeral).replace(secret, "guess"), "select 1")


def test_only_the_owner_reads_the_secret_the_log_and_the_cluster(ephemeral: Cluster) -> None:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in ephemeral.data.iterdir()}
    assert modes == {"cluster": "0o700", "log": "0o600", "secret": "0o600"}


def test_the_server_has_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it(ephemeral: Cluster) -> None:
    pid = living_server_pid(ephemeral.data)
    assert os.getsid(pid) == pid


def test_an_ephemeral_cluster_vanishes_when_it_is_stopped(data: Path) -> None:
    with Cluster(data, ephemeral=True):
        assert data.exists()
    assert not data.exists()


def test_a_server_that_is_not_running_has_no_url(data: Path) -> None:
    cluster = Cluster(data)
    cluster.stop()
    with pytest.raises(EmbeddedPostgresError, match="start it first"):
        cluster.url()


# One server, several processes


def test_a_second_process_attaches_and_does_not_stop_the_owners_server(made: Path) -> None:
    with another_process(made) as owner:
        url = said_by(owner)
        with Cluster(made) as attached:
            assert plain(attached) == url
            attached.ensure_database()
        assert ask(url, "select 1") == 1


def test_five_starts_at_once_make_one_server_that_all_reach(data: Path) -> None:
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(another_process_of_many(data)) for _ in range(5)]
        urls = {said_by(process) for process in processes}
        assert len(urls) == 1
        assert ask(urls.pop(), "select 1") == 1
        assert all(process.poll() is None for process in processes)
    wait_until(lambda: server_pid(data) is None)


@contextlib.contextmanager
def another_process_of_many(data: Path) -> Iterator[subprocess.Popen[str]]:
    with spawn(data) as process:
        try:
            yield process
        finally:
            process.kill()


def test_an_owner_that_never_gets_ready_is_reported(data: Path, impatient: None) -> None:
    data.mkdir()
    lock = os.open(data, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process holds" in start_refused(Cluster(data))
    finally:
        os.close(lock)


# What a crash leaves


def test_kill_9_of_the_parent_stops_the_server_and_the_next_start_works(made: Path) -> None:
    with another_process(made) as owner:
        url = said_by(owner)
        ask(url, "create table committed as select 42 as answer")
        owner.kill()
        wait_until(lambda: server_pid(made) is None, limit_seconds=5)
    with Cluster(made) as cluster:
        assert ask(plain(cluster), "select answer from kept") == 42


def test_a_server_that_outlives_its_parent_is_ended_by_the_next_start(made: Path) -> None:
    with another_process(made) as owner:
        said_by(owner)
        left_over = living_server_pid(made)
        os.kill(left_over, signal.SIGSTOP)
        owner.kill()
        owner.wait()
        with (
            subprocess.Popen(["/bin/sh", "-c", f"sleep 0.2; kill -CONT {left_over}"]),
            Cluster(made) as cluster,
        ):
            assert living_server_pid(made) != left_over
            assert ask(plain(cluster), "select 1") == 1


def test_a_server_that_does_not_react_is_killed(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postmaster, "_STOPS", ((signal.SIGINT, 0.05), (signal.SIGKILL, 5.0)))
    with Cluster(made) as cluster:
        os.kill(living_server_pid(made), signal.SIGSTOP)
        cluster.stop()
        assert server_pid(made) is None


@pytest.mark.parametrize("named", ["a process that has ended", "a living stranger", "nobody"])
def test_a_pid_file_that_names_no_server_of_ours_is_no_obstacle(made: Path, named: str) -> None:
    with Cluster(made):
        lines = (made / "cluster/postmaster.pid").read_text().splitlines()
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        try:
            if named == "a process that has ended":
                stranger.kill()
                stranger.wait()
            text = "" if named == "nobody" else "\n".join([str(stranger.pid), *lines[1:]])
            (made / "cluster/postmaster.pid").write_text(text)
            with Cluster(made):
                assert server_pid(made) != stranger.pid
            assert named != "a living stranger" or stranger.poll() is None
        finally:
            stranger.kill()


def test_a_killed_initdb_is_no_obstacle(data: Path) -> None:
    with another_process(data) as owner:
        wait_until(lambda: any(data.glob("new-*/base")))
        owner.kill()
        owner.wait()
        assert not (data / "cluster").exists()
    with Cluster(data) as cluster:
        cluster.ensure_database()
        assert ask(plain(cluster), "select 1") == 1


def test_what_a_killed_initdb_has_left_is_removed(data: Path) -> None:
    (data / "new-dead/base").mkdir(parents=True)
    (data / "secret").write_text("of the cluster that never was")
    with Cluster(data) as cluster:
        assert {path.name for path in data.iterdir()} == {"cluster", "log", "secret"}
        assert ask(cluster.url("postgres", role="postgres", scheme="postgresql"), "select 1") == 1


# A path too long for a socket, or with what a URL takes for something else


def test_an_awkward_path_works_and_leaves_no_socket_folder(awkward: Path, short_temp: Path) -> None:
    with Cluster(awkward) as cluster:
        (sockets,) = short_temp.iterdir()
        assert f"host={sockets}&" in cluster.url()
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert ask(plain(cluster), "select 1") == 1
    assert not any(short_temp.iterdir())


def test_the_socket_folder_that_kill_9_leaves_is_used_again(awkward: Path, short_temp: Path) -> None:
    with another_process(awkward) as owner:
        said_by(owner)
    assert len(list(short_temp.iterdir())) == 1
    with Cluster(awkward):
        assert len(list(short_temp.iterdir())) == 1
    assert not any(short_temp.iterdir())


@pytest.mark.parametrize("kind", ["open to others", "a symbolic link"])
def test_somebody_elses_socket_folder_is_refused_and_left_alone(
    kind: str, awkward: Path, short_temp: Path, folder: Path
) -> None:
    with Cluster(awkward):
        (sockets,) = short_temp.iterdir()
    if kind == "a symbolic link":
        sockets.symlink_to(folder)
    else:
        sockets.mkdir(mode=0o755)
    assert "somebody else's" in start_refused(Cluster(awkward))
    assert sockets.exists()


# Folders that are no cluster, or another's


def test_a_folder_that_holds_other_things_is_refused_and_left_alone(folder: Path) -> None:
    (folder / "holiday.jpg").write_bytes(b"sun")
    assert "has no cluster" in start_refused(Cluster(folder, ephemeral=True))
    assert [path.name for path in folder.iterdir()] == ["holiday.jpg"]


def test_a_file_in_the_way_is_refused(data: Path) -> None:
    data.write_text("")
    assert "choose another folder" in start_refused(Cluster(data))


def test_somebody_elses_folder_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: data.stat().st_uid + 1)
    assert "run as that user" in start_refused(Cluster(data))


@contextlib.contextmanager
def rewritten(path: Path, text: str) -> Iterator[None]:
    before = path.read_text()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)


def test_a_cluster_of_another_major_version_is_refused(made: Path) -> None:
    with rewritten(made / "cluster/PG_VERSION", "12\n"):
        message = start_refused(Cluster(made))
    assert "made by PostgreSQL 12" in message
    assert "POSTERN_PG_BIN" in message


def test_a_refused_start_of_an_ephemeral_cluster_deletes_nothing(made: Path) -> None:
    with rewritten(made / "cluster/PG_VERSION", "12\n"):
        start_refused(Cluster(made, ephemeral=True))
        assert (made / "cluster/PG_VERSION").exists()


def test_a_server_that_does_not_start_is_reported_with_its_own_words(made: Path) -> None:
    with rewritten(made / "cluster/postgresql.conf", "no_such_setting = 1\n"):
        message = start_refused(Cluster(made))
    assert str(made / "log") in message
    assert "FATAL" in message


# Where the programs come from


WAYS_OUT = ("pip install 'postern[embedded]'", "POSTERN_PG_BIN", "DATABASE_URL")


def test_without_programs_the_message_names_the_ways_out(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTERN_PG_BIN", str(data))
    message = start_refused(Cluster(data))
    assert all(way in message for way in WAYS_OUT)


def test_without_wheel_and_system_it_names_the_ways_out(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_path(monkeypatch, data)
    message = start_refused(Cluster(data))
    assert all(way in message for way in WAYS_OUT)


def test_programs_on_the_path_are_found(made: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = programs.binaries()
    (folder / "bin").mkdir()
    (folder / "bin/postgres").symlink_to(real / "postgres")
    only_path(monkeypatch, folder / "bin")
    with Cluster(made) as cluster:
        assert ask(plain(cluster), "select 1") == 1


def only_path(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.delenv("POSTERN_PG_BIN", raising=False)
    monkeypatch.setattr(programs, "_WHEELS", (("no_such_wheel", "bin"),))
    monkeypatch.setattr(programs, "_SYSTEM", ())
    monkeypatch.setenv("PATH", str(folder))


def test_the_newest_system_version_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("9.6", "18", "17"):
        (folder / version / "bin").mkdir(parents=True)
    only_path(monkeypatch, folder)
    monkeypatch.setattr(programs, "_SYSTEM", (f"{str(folder)[1:]}/*/bin",))
    assert [path.parent.name for path in programs._candidates()] == ["18", "17", "9.6"]


def test_a_failed_initdb_is_reported_with_its_own_words_and_leaves_nothing(
    data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(folder / "bin/postgres", "echo 'postgres (PostgreSQL) 16.1'")
    program(folder / "bin/initdb", "echo 'the disk\nis full' >&2; exit 1")
    monkeypatch.setenv("POSTERN_PG_BIN", str(folder / "bin"))
    assert "the disk is full" in start_refused(Cluster(data))
    assert [path.name for path in data.iterdir()] == ["secret"]


@pytest.mark.parametrize(("uid", "way_out"), [(0, "out of a private folder"), (1000, "POSTERN_PG_BIN")])
def test_programs_that_nobody_can_run_are_reported(
    folder: Path, uid: int, way_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(folder / "bin/postgres", "exit 1")
    program(folder / "bin/initdb", "exit 1")
    monkeypatch.setenv("POSTERN_PG_BIN", str(folder / "bin"))
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    with pytest.raises(EmbeddedPostgresError, match=way_out):
        programs.programs_for(folder, None)


# Whom it runs as


def test_the_server_runs_as_nobody_where_root_can_let_it_and_else_as_ourselves(made: Path) -> None:
    nobody_can = IS_ROOT and others_pass(made.parent) and others_pass(programs.binaries())
    expected = pwd.getpwnam("nobody").pw_uid if nobody_can else os.geteuid()
    assert (made / "cluster").stat().st_uid == expected


def test_a_private_folder_works_and_stays_private_and_works_when_it_is_opened(folder: Path) -> None:
    folder.chmod(0o700)
    cluster = Cluster(folder / "postgres")
    if IS_ROOT and not namespaces_work():
        assert "out of a private folder" in start_refused(cluster)
        return
    with cluster:
        cluster.ensure_database()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o711)
    with cluster:
        assert ask(plain(cluster), "select 1") == 1
        assert (folder / "postgres/cluster").stat().st_uid == os.geteuid()


def test_an_ordinary_user_runs_it_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert [account.uid for account in accounts.accounts()] == [1000]


def test_root_runs_it_as_nobody_or_in_a_namespace_where_files_stay_roots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert [account.uid for account in accounts.accounts()] == [pwd.getpwnam("nobody").pw_uid, 0]


def test_root_without_an_unprivileged_account_has_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", unknown)
    assert accounts.accounts() == []


def test_a_start_from_another_thread_is_refused(data: Path) -> None:
    messages: list[str] = []
    thread = threading.Thread(target=lambda: messages.append(start_refused(Cluster(data))))
    thread.start()
    thread.join()
    assert "main thread" in messages[0]
    assert not data.exists()
