"""Accounts of a service that runs as a process, made and logged in over HTTP."""

from __future__ import annotations

import itertools
import time

from tests.support.processes import Running
from tests.support.sockets import ask

PASSWORD = "correct horse battery staple"

numbers = itertools.count()


class Member:
    """An account made and logged in over HTTP."""

    def __init__(self, server: Running) -> None:
        name = f"e2e{next(numbers)}x{time.monotonic_ns()}"
        self.email = f"{name}@example.com"
        made = ask(server, "POST", "/api/users/", {"username": name, "email": self.email, "password": PASSWORD})
        assert made.status == 201, made
        self.id: int = made.json()["id"]
        entered = ask(server, "POST", "/api/auth/login", {"email": self.email, "password": PASSWORD})
        assert entered.status == 200, entered
        self.access_token: str = entered.json()["access_token"]
        self.refresh_token: str = entered.json()["refresh_token"]
