"""Traces from the edge to the statement, as a collector of OpenTelemetry's gets them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from tests.support.collector import Collector, attributes, collecting
from tests.support.instances import connect
from tests.support.members import PASSWORD, Member
from tests.support.processes import PROGRAMS, Running, environment, free_port, postern, running, wait_until
from tests.support.sockets import Connection, ask

SECRET_KEY = "e2e-0123456789-abcdefghijklmnopqrstuvwxyz"
AT_ONCE = 16
STOP_SECONDS = 10.0
"""At most: a second for requests, three for the last spans, and the machine's own."""
LOCK_SECONDS = "0.3"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def server(collector: Collector, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    env = environment(
        APP_ENV="production",
        SECRET_KEY=SECRET_KEY,
        DATABASE_URL=database_url,
        LOCK_SECONDS=LOCK_SECONDS,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.address,
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    command = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0")
    with running(*command, folder=tmp_path_factory.mktemp("traced"), env=env) as server:
        yield server
        assert server.stop() == 0
        assert "Traceback" not in server.output()


@pytest.fixture(scope="module")
def member(server: Running) -> Member:
    return Member(server)


def traced(
    server: Running, collector: Collector, method: str, target: str, token: str, document: object = None
) -> list[Span]:
    """Make a request that is a part of a trace, and return what the collector gets of it."""
    trace_id, parent_id = secrets.token_bytes(16), secrets.token_bytes(8)
    lines = [f"traceparent: 00-{trace_id.hex()}-{parent_id.hex()}-01", f"Authorization: Bearer {token}"]
    with Connection(server) as connection:
        body = None
        if document is not None:
            lines.append("Content-Type: application/json")
            body = repr(document).replace("'", '"').encode()
        connection.request(method, target, *lines, body=body)
    # The request's own span ends last.
    wait_until(lambda: any(span.parent_span_id == parent_id for span in collector.spans))
    return collector.of_trace(trace_id)


def test_a_request_is_the_parent_of_its_statements(server: Running, collector: Collector, member: Member) -> None:
    request, batch, statement = traced(server, collector, "GET", "/api/auth/me", member.access_token)

    assert (request.name, request.kind) == ("GET /api/auth/me", Span.SPAN_KIND_SERVER)
    told = attributes(request)
    assert len(told.pop("postern.request_id")) == 32
    assert told == {
        "http.request.method": "GET",
        "http.route": "/api/auth/me",
        "http.response.status_code": 200,
        "user.id": str(member.id),
    }
    assert (batch.name, batch.parent_span_id) == ("batch", request.span_id)
    assert attributes(batch) == {"postern.batch.size": 1}
    assert (statement.name, statement.kind) == ("SELECT", Span.SPAN_KIND_CLIENT)
    assert statement.parent_span_id == batch.span_id
    assert attributes(statement)["db.query.text"].startswith("SELECT ")
    assert request.start_time_unix_nano < statement.start_time_unix_nano < statement.end_time_unix_nano
    assert statement.end_time_unix_nano <= request.end_time_unix_nano
    assert collector.services == {"postern"}


def test_a_transaction_ends_with_its_commit(server: Running, collector: Collector, member: Member) -> None:
    spans = traced(server, collector, "PATCH", f"/api/users/{member.id}", member.access_token, {"username": "traced"})

    names = [span.name for span in spans]
    assert names[0] == "PATCH /api/users/<int:user_id>"
    assert names[-2:] == ["UPDATE", "COMMIT"]
    assert {span.parent_span_id for span in spans if span.name in ("UPDATE", "COMMIT")} == {spans[0].span_id}


async def test_a_statement_that_fails_says_why(
    server: Running, collector: Collector, member: Member, database_url: str
) -> None:
    holder = await connect(database_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", member.id)
        change = ("PATCH", f"/api/users/{member.id}", member.access_token, {"username": "waited"})
        spans = await asyncio.to_thread(traced, server, collector, *change)
    await holder.close()

    failed = [span for span in spans if span.status.code == Status.STATUS_CODE_ERROR]
    assert [span.name for span in failed] == [spans[0].name, "SELECT"]
    assert attributes(failed[0])["error.type"] == "503"
    assert attributes(failed[1])["error.type"].endswith("SQLSTATE 55P03")


def test_a_batch_is_linked_with_all_who_share_it(server: Running, collector: Collector, member: Member) -> None:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for answered in [
            threads.submit(ask, server, "GET", "/api/auth/me", token=member.access_token) for _ in range(10 * AT_ONCE)
        ]:
            assert answered.result().status == 200

    def shared() -> list[Span]:
        return [span for span in collector.spans if span.name == "batch" and span.links]

    wait_until(shared)
    batch = shared()[0]
    assert attributes(batch)["postern.batch.size"] >= 1

    def of_links() -> list[Span]:
        linked = {link.span_id for link in batch.links}
        return [span for span in collector.spans if span.span_id in linked]

    wait_until(lambda: len(of_links()) == len(batch.links))
    for request in of_links():
        assert batch.span_id in {link.span_id for link in request.links}


def test_nothing_that_somebody_has_said_is_told(server: Running, collector: Collector) -> None:
    member = Member(server)
    post = {"title": "a title that is nobody's business", "body": "nor is this"}
    assert ask(server, "POST", "/api/posts/", post, member.access_token).status == 201
    assert ask(server, "GET", "/api/posts/?search=business", token=member.access_token).status == 200
    assert ask(server, "POST", "/api/auth/refresh", token=member.refresh_token).status == 200
    before = len(collector.spans)
    traced(server, collector, "GET", "/api/auth/me", member.access_token)
    assert len(collector.spans) > before

    everything = b"".join(collector.bodies)
    for said in (PASSWORD, member.email, member.access_token, member.refresh_token, "business", "nor is this"):
        assert said.encode() not in everything


@pytest.mark.parametrize("how", ["away", "hanging"])
def test_a_collector_that_takes_nothing_costs_nobody_anything(database_url: str, tmp_path: Path, how: str) -> None:
    """Nor does it keep the service from stopping, or see its own address in the log."""
    with collecting() as collector:
        collector.hangs = True
        address = collector.address if how == "hanging" else f"http://127.0.0.1:{free_port()}"
        env = environment(
            APP_ENV="production",
            SECRET_KEY=SECRET_KEY,
            DATABASE_URL=database_url,
            SHUTDOWN_SECONDS="1",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"{address}/a-path-that-is-secret",
            OTEL_BSP_SCHEDULE_DELAY="100",
        )
        command = (PROGRAMS / "postern", "run", "--workers", "2", "--bind", "127.0.0.1:0")
        with running(*command, folder=tmp_path, env=env) as server:
            assert Member(server).access_token
            wait_until(lambda: "the collector of traces takes none" in server.output())
            assert server.stop(limit_seconds=STOP_SECONDS) == 0
            assert "is killed" not in server.output()
            assert "a-path-that-is-secret" not in server.output()


def test_what_a_caller_says_of_a_trace_is_no_line_of_the_log(server: Running) -> None:
    with Connection(server) as connection:
        for state in (",".join(f"k{number}=v" for number in range(500)), "=", "a" * 9000):
            connection.request("GET", "/livez", f"traceparent: 00-{'1' * 32}-{'1' * 16}-01", f"tracestate: {state}")
    assert "tracestate" not in server.output().lower()


def test_an_option_of_opentelemetry_that_is_none_is_said_in_one_line(database_url: str, tmp_path: Path) -> None:
    env = environment(
        APP_ENV="production",
        SECRET_KEY=SECRET_KEY,
        DATABASE_URL=database_url,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318",
        OTEL_BSP_MAX_QUEUE_SIZE="-4",
    )
    done = postern("run", "--bind", "127.0.0.1:0", folder=tmp_path, env=env)
    assert done.returncode == 1
    assert done.stderr.startswith("postern: OTEL_")
    assert len(done.stderr.splitlines()) == 1
