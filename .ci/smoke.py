"""`make run` as a newcomer has it: start it, register, log in, read /me, refresh, log out, stop it with Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

BASE = "http://127.0.0.1:8000"


def call(method: str, path: str, token: str = "", body: Any = None) -> Any:
    request = urllib.request.Request(BASE + path, method=method, data=json.dumps(body).encode() if body else None)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=15) as answer:
        return json.loads(answer.read() or "null")


def refusal(method: str, path: str, token: str) -> str:
    try:
        call(method, path, token)
    except urllib.error.HTTPError as error:
        return str(json.loads(error.read())["code"])
    return "none"


def wait_until_ready(service: subprocess.Popen[bytes], seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            call("GET", "/readyz")
            return
        except OSError:
            if service.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.1)


def flow() -> None:
    name = f"smoke{os.getpid()}"
    login = {"email": f"{name}@example.com", "password": "correct horse"}
    call("POST", "/api/users/", body={"username": name, **login})
    tokens = call("POST", "/api/auth/login", body=login)
    assert call("GET", "/api/auth/me", tokens["access_token"])["username"] == name
    tokens = call("POST", "/api/auth/refresh", tokens["refresh_token"])
    call("DELETE", "/api/auth/logout", tokens["access_token"])
    assert refusal("GET", "/api/auth/me", tokens["access_token"]) == "TOKEN_REVOKED"


def runs_here(process: Path) -> bool:
    """Tell whether it works in our data folder, as PostgreSQL does."""
    try:
        return (process / "cwd").resolve().is_relative_to(Path.cwd() / ".data")
    except OSError:
        return False


def main() -> None:
    started = time.monotonic()
    service = subprocess.Popen(["make", "run"], start_new_session=True)
    try:
        wait_until_ready(service, 240)
        print(f"smoke: ready after {time.monotonic() - started:.1f} s", flush=True)
        flow()
    finally:
        os.killpg(service.pid, signal.SIGINT)
        service.wait(30)
    left = [pid.name for pid in Path("/proc").glob("[0-9]*") if runs_here(pid)]
    assert not left, f"left behind: {left}"
    print("smoke: register, log in, me, refresh, log out, Ctrl-C: 1 passed, 0 failed")


if __name__ == "__main__":
    sys.exit(main())
