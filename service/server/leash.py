"""What ties a process that serves to the supervisor that started it: a pair of sockets, one in each of them.

The process says over it that it is ready, that it has served enough and, each second, that its event loop turns. When
one of the two is gone, however it ended, the other reads the end of the stream.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

READY, WORN_OUT, ALIVE = b"r", b"w", b"."
BEAT_SECONDS = 1.0
VARIABLE = "SERVED_BY_SUPERVISOR"
"""In the environment of a process that is supervised: the descriptor of the leash, then those of the sockets."""


class Leash:
    """The end of the process that serves, which is to listen on ``binds``."""

    def __init__(self, end: socket.socket, sockets: Sequence[int]) -> None:
        self._end = end
        self.binds = [f"fd://{descriptor}" for descriptor in sockets]

    @classmethod
    def found(cls) -> Leash | None:
        """Return the leash of this process; None of one that is on its own. To be asked once: it is taken off the
        environment, so that no child takes it for its own.
        """
        said = os.environ.pop(VARIABLE, None)
        if said is None:
            return None
        end, *sockets = map(int, said.split(","))
        return cls(socket.socket(fileno=end), sockets)

    def say(self, word: bytes) -> None:
        """Tell the supervisor; `watch` hears whether there is one."""
        with suppress(OSError):
            self._end.send(word)

    def beat(self) -> None:
        """Say each second, from now on, that the running loop turns."""
        self.say(ALIVE)
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self.beat)

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Call back when the supervisor is gone; from the running loop."""
        loop = asyncio.get_running_loop()

        def look() -> None:
            loop.remove_reader(self._end)
            on_gone()

        self._end.setblocking(False)
        loop.add_reader(self._end, look)


def leash_in_environment(end: socket.socket, sockets: Sequence[socket.socket]) -> Mapping[str, str]:
    """Return what tells a process, which inherits them, of its end of a leash and of the sockets to listen on."""
    return {VARIABLE: ",".join(str(sock.fileno()) for sock in (end, *sockets))}
