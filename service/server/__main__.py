"""`python -m service.server MODULE:APP`: any ASGI app on the engine."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import Any, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.utils import NoAppError, load_application

from service.server.config import ServerConfig
from service.server.leash import Leash
from service.server.run import CannotServe, run
from service.server.supervisor import Crew, again, supervise


def main() -> int:
    """Serve until SIGINT or SIGTERM; return the exit status."""
    options = _parser().parse_args()
    try:
        config, leash = _config(options), Leash.found()
        on_ready = partial(_announce, "https://" if config.ssl_enabled else "http://")
        if options.workers and leash is None:
            return 0 if supervise(Crew(options.workers, again(), on_ready=on_ready), config) else 1
        run(_app(options.app), config, on_ready=on_ready, leash=leash)
    except CannotServe as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _announce(scheme: str, address: str) -> None:
    print(address if address.startswith("unix:") else scheme + address, flush=True)  # noqa: T201


def _config(options: argparse.Namespace) -> ServerConfig:
    try:
        config = cast(ServerConfig, ServerConfig.from_toml(options.config)) if options.config else ServerConfig()
    except (OSError, ValueError) as error:
        raise CannotServe(f"can't read {options.config}: {error}") from error
    config.bind = options.bind or config.bind
    config.worker_class = options.worker_class or config.worker_class
    config.accesslog = options.access_log or config.accesslog
    return config


def _app(name: str) -> Any:
    """Return the app of that name, `app` in a module if it says no other."""
    try:
        wrapped = load_application(
            f"asgi:{name}" if ":" in name else f"asgi:{name}:app", ServerConfig.wsgi_max_body_size
        )
    except (NoAppError, ModuleNotFoundError, AttributeError) as error:
        raise CannotServe(f"can't load {name}: {error}") from error
    return cast(ASGIWrapper, wrapped).app


def _count(text: str) -> int:
    """Return a number of processes.

    Raises:
        ValueError: it is none.
    """
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.server", description="Serve an ASGI app by HTTP.")
    parser.add_argument("app", metavar="MODULE:APP", help="the ASGI app")
    parser.add_argument("--bind", action="append", metavar="HOST:PORT", help="where to listen; 127.0.0.1:8000")
    parser.add_argument("-w", "--workers", type=_count, metavar="N", help="so many processes, and one above them")
    parser.add_argument("-k", "--worker-class", choices=("uvloop", "asyncio"), help="the event loop")
    parser.add_argument("-c", "--config", metavar="FILE", help="Hypercorn's settings and the engine's, in TOML")
    parser.add_argument("--access-log", metavar="FILE", help="a line for each request; - is the standard output")
    return parser


if __name__ == "__main__":
    sys.exit(main())
