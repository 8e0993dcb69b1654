"""The one seam with Hypercorn: what the engine takes of it, most of which is no public interface.

`tested()` says whether the release that is installed is one of those the engine was tested with.
"""

from importlib import metadata

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.run import worker_serve
from hypercorn.asyncio.statsd import StatsdLogger
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config, Sockets
from hypercorn.events import Closed, Updated
from hypercorn.logging import Logger as HypercornLogger
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.typing import LifespanState
from hypercorn.utils import (
    LifespanFailureError,
    LifespanTimeoutError,
    NoAppError,
    load_application,
    repr_socket_addr,
)

__all__ = [
    "ASGIWrapper",
    "Closed",
    "Config",
    "H2Protocol",
    "HypercornLogger",
    "Lifespan",
    "LifespanFailureError",
    "LifespanState",
    "LifespanTimeoutError",
    "NoAppError",
    "Sockets",
    "StatsdLogger",
    "TCPServer",
    "Updated",
    "WorkerContext",
    "installed",
    "load_application",
    "repr_socket_addr",
    "tested",
    "worker_serve",
]

TESTED = ("0.18.0",)


def installed() -> str:
    """Return the release of Hypercorn that is there."""
    return metadata.version("hypercorn")


def tested() -> bool:
    """Tell whether the engine was tested with it."""
    return installed() in TESTED
