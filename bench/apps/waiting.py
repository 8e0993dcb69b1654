"""A view that waits 10 ms, on the service's own bridge and edge with the settings of production, all features on.

`python -m service.server bench.apps.waiting:app` serves it.
"""

from __future__ import annotations

import asyncio

from flask import Flask
from service import logs
from service.asgi import ASGIBridge
from service.config import Settings
from service.edge import Edge

flask = Flask("waiting")


@flask.get("/wait")
async def wait() -> dict[str, bool]:
    """Wait as if for somebody else's service."""
    await asyncio.sleep(0.01)
    return {"waited": True}


settings = Settings.load()
logs.configure(settings.log_level, as_json=settings.production)
app = Edge(ASGIBridge(flask, max_body_bytes=settings.body_limit_bytes), settings)
