"""The ASGI `app` for `hypercorn asgi:app`: settings from the environment, then the whole house.

`postern run` does the same, and configures the server too.
"""

from __future__ import annotations

import atexit
import sys
from contextlib import ExitStack

from service import logs
from service.config import ConfigurationError, Settings
from service.context import token_codec
from service.database import database
from service.embedded import EmbeddedPostgresError
from service.server import heap
from service.stack import create_asgi

running = ExitStack()
atexit.register(running.close)

try:
    settings = Settings.load()
    token_codec(settings)  # keys that can't be used are said before anything is started
    logs.configure(settings.log_level, as_json=settings.production)
    app = create_asgi(settings, running.enter_context(database(settings)))
except (ConfigurationError, EmbeddedPostgresError) as error:
    sys.exit("\n".join(getattr(error, "faults", [str(error)])))
heap.freeze()
