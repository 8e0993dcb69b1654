"""`python -m service.server MODULE:APP`: any ASGI app on the engine."""

from __future__ import annotations

import argparse
import sys
from typing import Any, cast

from service.server.config import ServerConfig
from service.server.run import CannotServe, run
from service.server.seam import ASGIWrapper, NoAppError, load_application


def main() -> int:
    """Serve until SIGINT or SIGTERM; return the exit status."""
    options = _parser().parse_args()
    config = cast(ServerConfig, ServerConfig.from_toml(options.config)) if options.config else ServerConfig()
    config.bind = options.bind or config.bind
    config.worker_class = options.worker_class or config.worker_class
    config.accesslog = options.access_log or config.accesslog
    scheme = "https" if config.ssl_enabled else "http"
    try:
        wrapped = cast(ASGIWrapper, load_application(f"asgi:{options.app}", config.wsgi_max_body_size))
        run(cast(Any, wrapped.app), config, on_ready=lambda address: print(f"{scheme}://{address}", flush=True))  # noqa: T201
    except (CannotServe, NoAppError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.server", description="Serve an ASGI app by HTTP.")
    parser.add_argument("app", metavar="MODULE:APP", help="the ASGI app")
    parser.add_argument("--bind", action="append", metavar="HOST:PORT", help="where to listen; 127.0.0.1:8000")
    parser.add_argument("-k", "--worker-class", choices=("uvloop", "asyncio"), help="the event loop")
    parser.add_argument("-c", "--config", metavar="FILE", help="Hypercorn's settings and the engine's, in TOML")
    parser.add_argument("--access-log", metavar="FILE", help="a line for each request; - is the standard output")
    return parser


if __name__ == "__main__":
    sys.exit(main())
