from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from service import logs, trace
from service.logs import JSONFormatter, LineFormatter


def record(message: str = "request", exception: Exception | None = None, **extra: Any) -> logging.LogRecord:
    info = (type(exception), exception, exception.__traceback__) if exception else None
    made = logging.LogRecord("postern.access", logging.INFO, __file__, 1, message, (), info)
    made.__dict__.update(extra)
    return made


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    hypercorn = logging.getLogger("hypercorn.error")
    hypercorns = hypercorn.level
    yield
    logs._straight = None
    root.handlers[:] = handlers
    root.setLevel(level)
    hypercorn.setLevel(hypercorns)


def test_a_json_line_has_what_machines_look_for() -> None:
    line = json.loads(JSONFormatter().format(record(status=200, route="/api/users/")))

    assert line.keys() == {"time", "level", "logger", "message", "request_id", "status", "route"}
    assert (line["level"], line["logger"], line["message"]) == ("info", "postern.access", "request")
    assert line["time"].endswith("+00:00")


def test_a_line_names_the_request_under_way() -> None:
    token = trace.current.set(trace.Trace("some-request"))
    try:
        line = json.loads(JSONFormatter().format(record()))
    finally:
        trace.current.reset(token)

    assert line["request_id"] == "some-request"


@pytest.mark.parametrize("formatter", [JSONFormatter(), LineFormatter()], ids=["json", "line"])
def test_a_field_can_not_forge_another_line(formatter: logging.Formatter) -> None:
    line = formatter.format(record(path="/x\n{}\r\u2028\x85 200 OK"))

    assert len(line.splitlines()) == 1


def test_a_json_line_holds_the_exception() -> None:
    try:
        raise ValueError("a bug")
    except ValueError as error:
        line = JSONFormatter().format(record(exception=error))

    assert "ValueError: a bug" in json.loads(line)["exception"]
    assert len(line.splitlines()) == 1


def test_a_readable_line_shows_its_fields_behind_the_message() -> None:
    line = LineFormatter().format(record(status=404, route=None))

    assert line.endswith('postern.access: request {"status": 404}')


def test_a_readable_line_without_fields_is_only_the_message() -> None:
    assert LineFormatter().format(record("started")).endswith("postern.access: started")


@pytest.mark.parametrize(
    ("as_json", "formatter"), [(True, JSONFormatter), (False, LineFormatter)], ids=["json", "line"]
)
@pytest.mark.usefixtures("restored_logging")
def test_logs_go_to_standard_output(as_json: bool, formatter: type[logging.Formatter]) -> None:
    logs.configure("WARNING", as_json=as_json)

    [handler] = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    assert handler.stream is sys.stdout
    assert isinstance(handler.formatter, formatter)
    assert logging.getLogger().level == logging.WARNING


@pytest.mark.usefixtures("restored_logging")
def test_a_library_that_announces_what_goes_well_is_quiet() -> None:
    logs.configure("INFO", as_json=True)

    assert not logging.getLogger("hypercorn.error").isEnabledFor(logging.INFO)


@pytest.mark.usefixtures("restored_logging")
async def test_the_line_of_a_request_is_the_same_that_logging_writes(capsys: pytest.CaptureFixture[str]) -> None:
    fields: dict[str, Any] = {
        "method": "GET",
        "path": '/"x\n{}\r\u2028\x85',
        "route": None,
        "status": 200,
        "duration_ms": 0.21,
        "user_id": 7,
    }
    logs.configure("INFO", as_json=True)
    logs.request(fields)
    await asyncio.sleep(0)

    [line] = capsys.readouterr().out.splitlines()
    written, known = json.loads(line), json.loads(JSONFormatter().format(record(**fields)))
    assert written.pop("time") <= known.pop("time")  # which was made later
    assert list(written.items()) == list(known.items())


@pytest.mark.parametrize("value", [True, ("a", 1), b'"', 1.5, None, ValueError('"\n{}')], ids=str)
def test_a_field_of_another_kind_stays_json_on_its_line(value: Any) -> None:
    line = JSONFormatter().format(record(path=value))

    assert len(line.splitlines()) == 1
    assert "path" in json.loads(line)


@pytest.mark.usefixtures("restored_logging")
async def test_lines_of_requests_and_others_stay_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", as_json=True)
    logs.request({"status": 200})
    logging.getLogger("postern").warning("in between")
    logs.request({"status": 404})
    await asyncio.sleep(0)

    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("status") for line in said] == [200, None, 404]


@pytest.mark.parametrize(("level", "as_json"), [("WARNING", True), ("WARNING", False)])
@pytest.mark.usefixtures("restored_logging")
async def test_a_level_above_leaves_no_line_of_a_request(
    level: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(level, as_json=as_json)
    logs.request({"status": 200})
    await asyncio.sleep(0)

    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("restored_logging")
async def test_a_log_that_is_gone_fails_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    logs.configure("INFO", as_json=True)
    stream.close()
    logs.request({"status": 200})
    await asyncio.sleep(0)
