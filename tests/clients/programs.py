"""The server and the programs that are its clients: how they are started, and what they say."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import Running, environment, free_port, running, wait_until

LIMIT_SECONDS = 20


def program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
    assert found, f"{name} is not installed: apt-get install {name}"
    return found


@contextlib.contextmanager
def serving(loop: str, folder: Path, *options: str | Path, scheme: str = "http") -> Iterator[Running]:
    """Run the app on the engine, which has nothing to complain of, and ends when it is told to."""
    command = (sys.executable, "-m", "service.server", "tests.clients.app:app", "--bind", "127.0.0.1:0", "-k", loop)
    with running(*command, *options, folder=folder, env=environment(), told=f"{scheme}://127.0.0.1:") as started:
        wait_until(lambda: started.output().endswith("\n"))
        said = re.fullmatch(rf"{scheme}://127\.0\.0\.1:(\d+)\n", started.output())
        assert said, started.output()
        server = Running(started.process, started.said, int(said[1]))
        yield server
        if server.process.poll() is None:
            assert server.stop() == 0
        assert server.output() == said[0]


@dataclass(frozen=True)
class Fetched:
    """What curl has fetched, in one transfer or several."""

    body: bytes
    """All bodies, one behind the other."""
    said: str
    """What `curl --verbose` says."""
    transfers: list[dict[str, Any]]
    """What curl knows of each: its variables, https://curl.se/docs/manpage.html#-w."""

    def of_each(self, variable: str) -> list[Any]:
        return [transfer[variable] for transfer in self.transfers]

    @property
    def statuses(self) -> list[int]:
        return self.of_each("response_code")

    @property
    def documents(self) -> list[dict[str, Any]]:
        """What `echo` has told."""
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def head(self) -> list[str]:
        """Status lines and fields of all answers, with names in lower case."""
        lines = [line[2:].rstrip("\r") for line in self.said.split("\n") if line.startswith("< ")]
        return [re.sub(r"^[^ :]+:", lambda name: name[0].lower(), line) for line in lines]


def uploaded(document: dict[str, Any]) -> tuple[int, str]:
    """Return the length and the digest of the body that `echo` has read."""
    return document["length"], document["digest"]


TRANSFER = ("--max-time", str(LIMIT_SECONDS), "--write-out", r"%{stderr}\n%{json}\n")


def curl(*arguments: str | Path, given: bytes = b"") -> Fetched:
    """Run curl to its end, which has to be a good one, with `given` as its standard input."""
    command = [program("curl"), "--disable", "--silent", "--show-error", "--verbose", *TRANSFER]
    for argument in arguments:
        command += [str(argument), *(TRANSFER if argument == "--next" else ())]
    done = _run(command, given)
    said = done.stderr.decode("latin-1")
    return Fetched(done.stdout, said, [json.loads(line) for line in said.split("\n") if line.startswith('{"')])


def crowd(url: str, folder: Path, *arguments: str | Path, requests: int = 500, connections: int = 20) -> list[Any]:
    """Have curl ask so often, on so many connections at once; return the answers' JSON, in order. None is an error.

    `url` ends where a number fits in; `folder` is empty, and has an answer's file for each when it has come.
    """
    command = [program("curl"), "--disable", "--silent", "--show-error", "--fail", "--max-time", str(LIMIT_SECONDS)]
    command += ["--parallel", "--parallel-immediate", "--parallel-max", str(connections)]
    command += [*map(str, arguments), "--output", str(folder / "#1"), f"{url}[1-{requests}]"]
    _run(command)
    return [json.loads((folder / str(number)).read_bytes()) for number in range(1, requests + 1)]


def _run(command: list[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    seconds = LIMIT_SECONDS + 5
    done = subprocess.run(command, env=environment(), input=given, capture_output=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr.decode("latin-1")
    return done


CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream engine {{
        {servers}
        {of_upstream}
    }}
    server {{
        listen 127.0.0.1:{port};
        {of_server}
        location / {{ proxy_pass http://engine; }}
    }}
}}
"""


@dataclass(frozen=True)
class Way:
    """How nginx asks servers: what stands in `upstream` and in `server`."""

    of_upstream: str = ""
    of_server: str = ""


HTTP_1_0 = Way()
"""As it does when nothing is said."""

# It lets go of idle connections before the server does, so that no request comes while a connection is being closed.
KEPT = Way("keepalive 32; keepalive_timeout 3s;", 'proxy_http_version 1.1; proxy_set_header Connection "";')
UNBUFFERED = Way(KEPT.of_upstream, f"{KEPT.of_server} proxy_request_buffering off; proxy_buffering off;")
FAILING_OVER = Way(KEPT.of_upstream, f"{KEPT.of_server} proxy_next_upstream error timeout non_idempotent;")


@contextlib.contextmanager
def nginx(*servers: Running, folder: Path, way: Way) -> Iterator[Running]:
    """Run nginx before servers. What it says are errors."""
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(
            user="user root;" if os.getuid() == 0 else "",  # else its workers could not write to the folder
            folder=folder,
            servers=" ".join(f"server 127.0.0.1:{server.port};" for server in servers),
            port=port,
            of_upstream=way.of_upstream,
            of_server=way.of_server,
        )
    )
    command = (program("nginx"), "-e", "stderr", "-p", folder, "-c", configuration)
    with running(*command, folder=folder, env=environment(), port=port) as started:
        yield started
