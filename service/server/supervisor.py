"""Processes that serve on one socket: started, kept at their number, replaced and stopped together.

`hypercorn -w N` is no help: there one process that is killed ends all, those whose parent is killed serve on, and a
stop cuts what is under way (ADR 13).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hypercorn.utils import repr_socket_addr

from service.server.config import ServerConfig
from service.server.leash import BEAT_SECONDS, READY, WORN_OUT, leash_in_environment
from service.server.run import CannotServe, listen

YOUNG_SECONDS = 1.0
"""Who ends so soon after being ready is likely to do so again."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
"""Between tries, doubled each time; before the first there is none."""
PATIENCE_SECONDS = 5.0
"""At a stop, beyond the time that requests under way have, before a process is killed."""

log = logging.getLogger("service.server")


@dataclass(frozen=True)
class Crew:
    """What is supervised: ``count`` processes, each of which runs ``command`` with ``variables`` in its environment
    beside our own, and serves by `run` with the leash that it finds there.

    Each has the least number that no other has, from 0 on, in its environment under the name ``number_in``.
    ``on_ready(address)`` is called when all serve, with HOST:PORT or unix:PATH, ``on_end(number)`` when one has ended.
    """

    count: int
    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    number_in: str = "SERVER_NUMBER"
    on_ready: Callable[[str], None] = lambda _: None
    on_end: Callable[[int], None] = lambda _: None


def supervise(crew: Crew, config: ServerConfig) -> bool:
    """Keep the processes serving until SIGINT or SIGTERM; tell whether all ended by themselves then, in time.

    Who ends is replaced; who has just been replaced, and has ended again, is waited for. SIGHUP replaces all, one after
    the other, each by one that serves before it stops; so is who has had ``config.max_requests``.

    Raises:
        CannotServe: the address can't be had.
    """
    if config.insecure_bind:
        raise CannotServe("insecure_bind: several processes serve either TLS or not")
    sockets = listen(config)
    listening = (*sockets.insecure_sockets, *sockets.secure_sockets)
    try:
        for sock in listening:
            sock.listen(config.backlog)  # who comes before there is a process waits for it
        return asyncio.run(_Supervisor(crew, config, listening).run())
    finally:
        for sock in listening:
            sock.close()


def again() -> list[str]:
    """Return the command by which this process was started: with a leash, it does what it would do by itself."""
    return [sys.executable, *sys.orig_argv[1:]]


class _Process:
    """One process, from its start to its end."""

    def __init__(self, process: asyncio.subprocess.Process, leash: socket.socket, on_ready: Callable[[], None]) -> None:
        self.worn_out = asyncio.Event()
        self.displaced = asyncio.Event()
        """Set when another one serves in its place."""
        self.settled = asyncio.Event()
        """Set when it serves, or has ended without."""
        self.ready_at: float | None = None
        self.silent_beats = 0
        """How many beats of the supervisor ago it was heard of: those count the time in which it could have been."""
        self._process = process
        self._on_ready = on_ready
        self.life = asyncio.create_task(self._listen(leash))
        """Done when it has ended."""

    def __str__(self) -> str:
        return f"process {self._process.pid}"

    @property
    def ended_young(self) -> bool:
        """Tell of one that has ended whether it was of no use."""
        return self.ready_at is None or time.monotonic() - self.ready_at < YOUNG_SECONDS

    @property
    def end(self) -> str:
        """Say how it ended."""
        status = self._process.returncode or 0
        if status >= 0:
            return f"ended with status {status}"
        names = {int(sign): sign.name for sign in signal.Signals}  # without those of real time
        return f"was ended by {names.get(-status, f'signal {-status}')}"

    def tell(self, sign: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if self._process.returncode is None:
            self._process.send_signal(sign)

    async def _listen(self, leash: socket.socket) -> None:
        with leash:
            while said := await _received(leash):
                self.silent_beats = 0
                if READY in said:
                    self.ready_at = time.monotonic()
                    self.settled.set()
                    self._on_ready()
                if WORN_OUT in said:
                    self.worn_out.set()
        await self._process.wait()
        self.settled.set()


async def _received(leash: socket.socket) -> bytes:
    try:
        return await asyncio.get_running_loop().sock_recv(leash, 16)
    except OSError:  # it ended without reading all that it was told
        return b""


class _Supervisor:
    def __init__(self, crew: Crew, config: ServerConfig, listening: Sequence[socket.socket]) -> None:
        self._crew = crew
        self._config = config
        self._listening = listening
        self._places: dict[int, _Process] = {}
        """Who serves in each place, or did last; who has been replaced is in none."""
        self._tries: dict[int, int] = {}
        """How many have ended young in each place, one after the other."""
        self._living: set[_Process] = set()
        self._numbers: set[int] = set()
        self._replacing = asyncio.Lock()
        self._announced = False
        self._tasks: set[asyncio.Task[bool]] = set()

    async def run(self) -> bool:
        """Supervise until a signal says that it is over."""
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        for sign in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sign, stopped.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._begin(self._replace_all()))
        for place in range(self._crew.count):
            self._begin(self._keep(place))
        self._begin(self._listen_for_silence())
        await stopped.wait()
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        for task in tuple(self._tasks):
            task.cancel()
        return await self._stop()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_told_of(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, place: int) -> None:
        """Have a process serve in a place, whatever happens."""
        while True:
            if not await _told_of(self._serve_in(place)):
                await asyncio.sleep(LONGEST_PAUSE_SECONDS)

    async def _listen_for_silence(self) -> None:
        """Kill who served, and is heard of no longer: its event loop does not turn, though clients are still let in."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            for process in [process for process in self._living if process.ready_at is not None]:
                process.silent_beats += 1
                if process.silent_beats * BEAT_SECONDS > self._config.hung_timeout:
                    log.error("%s has not been heard of for %g s, and is killed", process, self._config.hung_timeout)
                    process.tell(signal.SIGKILL)

    async def _serve_in(self, place: int) -> None:
        """See to the process in a place until it has ended, or another one is there."""
        process = self._places.get(place)
        if process is None or process.life.done():
            started = await self._start()
            process = self._places.get(place)
            if process is None or process.life.done():
                process = self._places[place] = started
            else:  # a replacement was faster
                started.tell(signal.SIGTERM)
        await _first(process.life, process.displaced.wait(), process.worn_out.wait())
        while not (process.life.done() or process.displaced.is_set()):
            self._begin(self._replace(place, process))
            await _first(process.life, process.displaced.wait(), asyncio.sleep(LONGEST_PAUSE_SECONDS))
        if not process.displaced.is_set():
            await self._pause_behind(process, place)

    async def _pause_behind(self, process: _Process, place: int) -> None:
        tries = self._tries[place] = self._tries.get(place, 0) + 1 if process.ended_young else 0
        doubled = FIRST_PAUSE_SECONDS * 2 ** min(tries - 2, 10)
        pause = min(doubled, LONGEST_PAUSE_SECONDS) if tries > 1 else 0
        log.warning("%s %s: the next one starts in %g s", process, process.end, pause)
        await _first(None, process.displaced.wait(), asyncio.sleep(pause))

    async def _replace_all(self) -> None:
        log.info("SIGHUP: the processes are replaced, one after the other")
        for place, process in tuple(self._places.items()):
            await self._replace(place, process)

    async def _replace(self, place: int, process: _Process) -> None:
        """Put another process into the place of this one; it stays if the other can't serve."""
        async with self._replacing:
            if self._places[place] is not process:
                return
            successor = await self._start()
            limit_seconds = self._config.startup_timeout + PATIENCE_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(successor.settled.wait(), limit_seconds)
            if successor.ready_at is None:
                await self._end([successor], 0)
                log.error("%s %s before it served: it replaces nobody", successor, successor.end)
                return
            self._tries[place] = 0
            predecessor, self._places[place] = self._places[place], successor
            for displaced in {process, predecessor}:  # it may have ended meanwhile, and have a successor already
                displaced.displaced.set()
            await self._end([predecessor], self._config.graceful_timeout)
            log.info("%s has replaced %s, which %s", successor, predecessor, predecessor.end)

    async def _start(self) -> _Process:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        number = min(set(range(len(self._numbers) + 1)) - self._numbers)
        self._numbers.add(number)
        try:
            with theirs:
                started = await asyncio.create_subprocess_exec(
                    *self._crew.command,
                    env={
                        **os.environ,
                        **self._crew.variables,
                        **leash_in_environment(theirs, self._listening),
                        self._crew.number_in: str(number),
                    },
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[sock.fileno() for sock in (theirs, *self._listening)],
                    process_group=0,  # Ctrl-C, and the end of a terminal, are the supervisor's to pass on
                )
        except BaseException:
            self._numbers.discard(number)
            ours.close()
            raise
        process = _Process(started, ours, self._announce)
        self._living.add(process)
        process.life.add_done_callback(lambda _: self._bury(process, number))
        return process

    def _bury(self, process: _Process, number: int) -> None:
        self._living.discard(process)
        self._numbers.discard(number)
        self._crew.on_end(number)

    def _announce(self) -> None:
        serving = [process for process in self._living if process.ready_at is not None]
        if not self._announced and len(serving) == self._crew.count:
            self._announced = True
            for sock in self._listening:
                self._crew.on_ready(repr_socket_addr(sock.family, sock.getsockname()))

    async def _stop(self) -> bool:
        """Have all processes stop; tell whether all did in time."""
        for sock in self._listening:
            sock.close()
        return await self._end(list(self._living), self._config.graceful_timeout)

    async def _end(self, processes: Sequence[_Process], seconds: float) -> bool:
        """Have processes stop, and kill those that take longer by PATIENCE_SECONDS; tell whether there were none."""
        for process in processes:
            process.tell(signal.SIGTERM)
        lives = [process.life for process in processes]
        if not lives:
            return True
        _, late = await asyncio.wait(lives, timeout=seconds + PATIENCE_SECONDS)
        for process in processes:
            if process.life in late:
                log.error("%s does not stop, and is killed", process)
                process.tell(signal.SIGKILL)
        if late:
            await asyncio.wait(late)
        return not late


async def _told_of(work: Coroutine[Any, Any, None]) -> bool:
    """Await work, and say in the log why it failed; tell whether it did not."""
    try:
        await work
    except Exception:
        log.exception("a process can't be started, or looked after")
        return False
    return True


async def _first(life: asyncio.Task[None] | None, *events: Coroutine[Any, Any, Any]) -> None:
    """Wait until a process has ended, or one of the events has come."""
    tasks = [asyncio.ensure_future(event) for event in events]
    try:
        await asyncio.wait([*tasks, *([life] if life else [])], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
