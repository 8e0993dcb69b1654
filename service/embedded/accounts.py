"""Whom PostgreSQL runs as, and how a forked child becomes it; what it runs does not live here.

PostgreSQL refuses root. No account is ever created, and no mode of an existing path is changed.
"""

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
# Loaded here because a forked child must not wait for the loader's lock.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Account:
    """The uid that PostgreSQL's files have on disk, and the way in which a forked child becomes it."""

    uid: int
    become: Callable[[], None]

    def entry(self, folder: Path) -> Callable[[], None]:
        """What a forked child calls before it executes a program: see ``_enter``."""
        return partial(_enter, self, folder, parent=os.getpid())


def accounts() -> list[Account]:
    """Those that PostgreSQL may run as, best first: ourselves, or for root an ordinary user in two ways."""
    if os.geteuid():
        return [Account(os.geteuid(), _stay)]
    try:
        nobody = pwd.getpwnam("nobody")  # initdb looks its user up, so any free number would not do
    except KeyError:
        return []
    return [Account(nobody.pw_uid, partial(_switch_to, nobody)), Account(0, partial(_appear_as, nobody))]


# What follows runs in the forked child, where coverage does not look.


def _enter(account: Account, folder: Path, *, parent: int) -> None:  # pragma: no cover - forked child
    """Become the account, fail unless it reaches the folder, and end when the parent does."""
    account.become()
    os.chdir(folder)
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)  # last, because a change of account clears it
    if os.getppid() != parent:
        os._exit(1)


def _stay() -> None:  # pragma: no cover - forked child
    """An ordinary user runs PostgreSQL as itself."""


def _switch_to(user: pwd.struct_passwd) -> None:  # pragma: no cover - forked child
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def _appear_as(user: pwd.struct_passwd) -> None:  # pragma: no cover - forked child
    """Enter a user namespace where PostgreSQL sees an ordinary user, and its files stay root's."""
    if _LIBC is None or _LIBC.unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "no user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user.pw_uid} 0 1")
    Path("/proc/self/gid_map").write_text(f"{user.pw_gid} 0 1")
