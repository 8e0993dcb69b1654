"""The one seam with Hypercorn: what the engine takes of it that is no public interface.

`run` looks at the release that is there before anything imports this.
"""

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.statsd import StatsdLogger
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.events import Closed, Updated
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.typing import LifespanState

__all__ = [
    "ASGIWrapper",
    "Closed",
    "H2Protocol",
    "Lifespan",
    "LifespanState",
    "StatsdLogger",
    "TCPServer",
    "Updated",
    "WorkerContext",
]
