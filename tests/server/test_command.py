"""`python -m service.server`: its options, and how it says what is wrong."""

from __future__ import annotations

import dataclasses
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.server.engine import APP, assert_said_nothing_bad, assert_stops_cleanly, serving, written
from tests.support.processes import LIMIT_SECONDS, Running, environment, running, wait_until
from tests.support.sockets import Connection, ask, head

FAILING = "tests.server.apps:failing"
LISTENER = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
os.dup2(listener.fileno(), 9)
os.set_inheritable(9, True)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def failing_command(folder: Path, *arguments: str) -> str:
    """Run the command, which fails, and return the one line in which it says why."""
    ended = subprocess.run(
        [sys.executable, "-m", "service.server", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert ended.returncode == 1
    assert "http" not in ended.stdout
    (line,) = ended.stderr.splitlines()
    return line


# What can't be served


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert failing_command(tmp_path, APP, "--bind", address).startswith(f"{address} is taken")


@pytest.mark.parametrize("address", ["192.0.2.1:1", "fd://77"])
def test_an_address_that_is_none_is_named(tmp_path: Path, address: str) -> None:
    assert address in failing_command(tmp_path, APP, "--bind", address)


@pytest.mark.parametrize(
    "app",
    [
        "nothing:app",
        "nothing.deeper:app",
        "tests.server.apps:nothing",
        "tests.server.apps:app.nothing",
        "nothing",
    ],
)
def test_an_app_that_is_not_there_is_named(tmp_path: Path, app: str) -> None:
    assert app in failing_command(tmp_path, app, "--bind", "127.0.0.1:0")


def test_a_lifespan_that_fails_says_why(tmp_path: Path) -> None:
    assert "the shelves are empty" in failing_command(tmp_path, FAILING, "--bind", "127.0.0.1:0")


def test_a_lifespan_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    settings = written(tmp_path, {"startup_timeout": 0.1, "bind": ["127.0.0.1:0"]})
    assert "startup" in failing_command(tmp_path, "tests.server.apps:hanging", "-c", str(settings))


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "nothing.toml" in failing_command(tmp_path, APP, "-c", "nothing.toml")


def test_a_configuration_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text("bind: here\n")
    assert "server.toml" in failing_command(tmp_path, APP, "-c", "server.toml")


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    settings = written(tmp_path, {"certfile": "nothing.pem", "keyfile": "nothing.pem", "bind": ["127.0.0.1:0"]})
    assert "nothing.pem" in failing_command(tmp_path, APP, "-c", str(settings))


def test_http_3_is_not_served(tmp_path: Path) -> None:
    settings = written(tmp_path, {"quic_bind": ["127.0.0.1:0"], "bind": ["127.0.0.1:0"]})
    assert "quic_bind" in failing_command(tmp_path, APP, "-c", str(settings))


def test_a_lifespan_that_fails_at_the_end_is_a_status(tmp_path: Path) -> None:
    with serving(tmp_path, "uvloop", app="tests.server.apps:failing_at_last") as server:
        assert server.stop() == 1
        assert server.output().splitlines()[-1] == "Lifespan failure in shutdown. 'the doors are stuck'"
        assert_said_nothing_bad(server)


def test_a_signal_ends_a_start_that_takes_long(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "service.server", "tests.server.apps:hanging", "--bind", "127.0.0.1:0")
    with running(*command, folder=tmp_path, env=environment(), told="hanging") as server:
        server.stop(limit_seconds=5)
        assert_said_nothing_bad(server)


# What is served


def test_the_command_line_goes_before_the_configuration(tmp_path: Path) -> None:
    arguments = ("--bind", "127.0.0.1:0", "--bind", "127.0.0.1:0")
    with serving(tmp_path, "asyncio", *arguments, bind=["192.0.2.1:1"], worker_class="uvloop") as server:
        wait_until(lambda: len(ports(server)) == 2)
        for port in ports(server):
            assert ask(dataclasses.replace(server, port=port), "GET", "/hello").status == 200
        assert_stops_cleanly(server)


def ports(server: Running) -> list[int]:
    return [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)\n", server.output())]


def test_a_unix_socket_is_served(loop: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with (
        serving(tmp_path, loop, "--bind", f"unix:{path}", told=f"unix:{path}") as server,
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(head("GET", "/", "Connection: close"))
        received = b"".join(iter(lambda: client.recv(4096), b""))
        assert received.startswith(b"HTTP/1.1 200")
        assert b'"client": null' in received
        assert_stops_cleanly(server)


def test_a_descriptor_that_is_passed_on_is_served(loop: str, tmp_path: Path) -> None:
    command = ("-m", "service.server", APP, "-k", loop, "--bind", "fd://9")
    with running(sys.executable, "-c", LISTENER, *command, folder=tmp_path, env=environment()) as server:
        assert ask(server, "GET", "/hello").status == 200
        assert_stops_cleanly(server)


def test_the_server_names_itself_when_asked_to(tmp_path: Path) -> None:
    with serving(tmp_path, "uvloop", include_server_header=True) as server:
        assert ask(server, "GET", "/hello").headers["server"] == "hypercorn-h11"


def test_an_app_without_a_lifespan_is_served_and_nothing_logged_by_default(tmp_path: Path) -> None:
    with serving(tmp_path, "uvloop", app="tests.server.apps:lifeless") as server:
        before = server.output()
        assert "server" not in ask(server, "GET", "/hello").headers
        assert_stops_cleanly(server)
        assert server.output() == before


def test_it_ends_when_so_many_requests_were_answered(loop: str, tmp_path: Path) -> None:
    with serving(tmp_path, loop, max_requests=3, graceful_timeout=30) as server:
        with Connection(server) as busy, Connection(server) as other:
            busy.send(head("POST", "/echo", "Content-Length: 10") + b"12345")
            wait_until(lambda: "begun" in server.output())
            for _ in range(2):
                assert other.request("GET", "/hello").status == 200
            assert other.request("GET", "/hello").status == 200  # the one too many
            assert other.is_closed()
            answer = busy.send(b"67890").answer()
            assert (answer.body, answer.headers["connection"]) == (b"1234567890", "close")
        assert server.process.wait(LIMIT_SECONDS) == 0
        assert server.output().endswith("lifespan.shutdown\n")
