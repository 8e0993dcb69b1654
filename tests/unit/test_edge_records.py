"""What is left of a request: one line in the log, and the metrics."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from prometheus_client import REGISTRY
from service import trace
from tests.support.asgi import ASGIApp, Wire, fetch, serve
from tests.support.edge import Answering, access_lines, edge_over, never_asked


@pytest.fixture(autouse=True)
def every_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "postern.access")


async def routed(scope: Any, receive: Any, send: Any) -> None:
    """Answer as the product does for a user who is known."""
    request = trace.current.get()
    request.route, request.user_id = "/api/users/<int:user_id>", 42
    await Answering()(scope, receive, send)


async def failing(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("a bug")


async def test_a_request_leaves_one_line(caplog: pytest.LogCaptureFixture) -> None:
    await fetch(edge_over(routed), "/api/users/7", "PATCH")
    (line,) = access_lines(caplog)
    assert line.pop("duration_ms") >= 0
    assert line == {
        "method": "PATCH",
        "path": "/api/users/7",
        "route": "/api/users/<int:user_id>",
        "status": 200,
        "client": "192.0.2.7",
        "user_id": 42,
    }


async def test_the_line_of_one_request_knows_nothing_of_another(caplog: pytest.LogCaptureFixture) -> None:
    await fetch(edge_over(routed))
    await fetch(edge_over(Answering()))
    assert [(line["route"], line["user_id"]) for line in access_lines(caplog)] == [
        ("/api/users/<int:user_id>", 42),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("app", "target", "method", "status"),
    [
        (failing, "/", "GET", 500),
        (never_asked, "/%00", "GET", 400),
        (never_asked, "/" + "a" * 5000, "GET", 414),
        (never_asked, "/", "TRACE", 405),
        (Answering(status=404), "/", "HEAD", 404),
    ],
    ids=["bug", "malformed", "too long", "method", "not found"],
)
async def test_a_refusal_leaves_one_line(
    app: ASGIApp, target: str, method: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    await fetch(edge_over(app), target, method)
    assert [(line["method"], line["status"]) for line in access_lines(caplog)] == [(method, status)]


async def test_the_query_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    await fetch(edge_over(failing), "/api/users/?token=hunter2")
    assert "hunter2" not in caplog.text
    assert "hunter2" not in str([vars(record) for record in caplog.records])


@pytest.mark.parametrize(
    ("target", "method"), [("/" + "a" * 4000, "GET"), ("/", "BREW" * 1000)], ids=["long path", "long method"]
)
async def test_a_line_stays_short_whatever_the_client_sends(
    target: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    await fetch(edge_over(Answering()), target, method)
    (line,) = access_lines(caplog)
    assert len(str(line)) < 600


async def test_a_client_that_left_before_the_answer_is_a_499(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(b"half", complete=False)
    wire.leave()
    await serve(edge_over(Answering()), wire, "POST", headers=[(b"content-length", b"10")])
    assert [line["status"] for line in access_lines(caplog)] == [499]
    assert wire.sent == []


async def test_a_client_without_an_address_is_logged_without_one(caplog: pytest.LogCaptureFixture) -> None:
    await fetch(edge_over(Answering()), client=None)
    assert [line["client"] for line in access_lines(caplog)] == [None]


async def test_the_log_has_the_address_that_the_proxy_says(caplog: pytest.LogCaptureFixture) -> None:
    await fetch(edge_over(Answering(), trusted_proxies=1), headers=[(b"x-forwarded-for", b"198.51.100.1")])
    assert [line["client"] for line in access_lines(caplog)] == ["198.51.100.1"]


def counted(method: str, route: str, status: str) -> float:
    labels = {"method": method, "route": route, "status": status}
    return REGISTRY.get_sample_value("postern_requests_total", labels) or 0


@pytest.mark.parametrize(
    ("app", "method", "labels"),
    [
        (routed, "GET", ("GET", "/api/users/<int:user_id>", "200")),
        (Answering(), "POST", ("POST", "none", "200")),
        (Answering(status=405), "BREW", ("other", "none", "405")),
        (failing, "GET", ("GET", "none", "500")),
    ],
    ids=["routed", "no route", "a made-up method", "a bug"],
)
async def test_every_request_is_counted(app: ASGIApp, method: str, labels: tuple[str, str, str]) -> None:
    before = counted(*labels)
    await fetch(edge_over(app), method=method)
    assert counted(*labels) == before + 1


async def test_the_time_of_every_request_is_measured() -> None:
    def measured() -> float:
        sample = REGISTRY.get_sample_value("postern_request_seconds_count", {"route": "/api/users/<int:user_id>"})
        return sample or 0

    before = measured()
    await fetch(edge_over(routed))
    assert measured() == before + 1


async def test_a_request_in_flight_is_counted_until_it_ends() -> None:
    seen = []

    def in_flight() -> float:
        return REGISTRY.get_sample_value("postern_requests_in_flight") or 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(in_flight())
        raise RuntimeError("a bug")

    before = in_flight()
    await fetch(edge_over(app))
    assert (seen, in_flight()) == ([before + 1], before)
