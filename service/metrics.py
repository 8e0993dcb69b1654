"""What is measured, and how it is told: in Prometheus' text format, of all processes of a service together.

A process that its supervisor has given a number keeps its values in files of that number, which whoever is asked for
them reads together. The next process with that number goes on counting in them.
"""

from __future__ import annotations

import os
from functools import cache, partial

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

PROCESS, FOLDER = "POSTERN_PROCESS", "PROMETHEUS_MULTIPROC_DIR"
"""In the environment: the number of this process, and the library's own name for where the files are."""
CONTENT_TYPE = CONTENT_TYPE_LATEST

_shared = FOLDER in os.environ and PROCESS in os.environ
if _shared:  # before any is made, the library asks
    values.ValueClass = values.MultiProcessValue(partial(int, os.environ[PROCESS]))  # type: ignore[no-untyped-call]  # the library's

MOMENTS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

requests = Counter("postern_requests", "Requests answered.", ("method", "route", "status"))
seconds = Histogram("postern_request_seconds", "Time from a request's head to the end of its answer.", ("route",))
in_flight = Gauge("postern_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum")
pool_size = Gauge("postern_pool_size", "Connections that the pools may have.", multiprocess_mode="livesum")
pool_in_use = Gauge("postern_pool_in_use", "Connections in use, looked at once a second.", multiprocess_mode="livesum")
pool_wait = Histogram("postern_pool_wait_seconds", "Time waited for a connection, a new one included.", buckets=MOMENTS)
replica_reads = Counter("postern_replica_reads", "Reads meant for the standby, by who answered.", ("server",))
hashing = Gauge("postern_hashes_running", "Passwords being checked or set.", multiprocess_mode="livesum")
waiting_to_hash = Gauge("postern_hashes_waiting", "Passwords waiting for a place.", multiprocess_mode="livesum")
refreshes = Counter("postern_refreshes", "Refresh tokens presented, by what became of them.", ("outcome",))
tasks = Gauge("postern_tasks", "Tasks of the event loops, looked at once a second.", multiprocess_mode="livesum")
loop_lag = Histogram("postern_loop_lag_seconds", "How late the event loop came to a timer.", buckets=MOMENTS)


@cache  # there are not many, and to find them by their labels takes longer than to count
def of_request(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Return what counts the requests of a kind, and what measures them."""
    return requests.labels(method, route, str(status)), seconds.labels(route)


def told() -> bytes:
    """Return all that was measured."""
    if not _shared:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's
    return generate_latest(registry)


def forget(folder: str, number: int) -> None:
    """Drop what a process that has ended had under way."""
    mark_process_dead(number, folder)  # type: ignore[no-untyped-call]  # the library's
