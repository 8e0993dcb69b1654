"""What `deploy/` and the operators' page say of the service is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, generate_latest
from service import metrics
from tests.conftest import ROOT, make_settings

DEPLOY = ROOT / "deploy"
NAME = re.compile(r"\bpostern_[a-z_]+")
KINDS = re.compile(r"^# TYPE (\w+) (\w+)$", re.MULTILINE)


def told() -> set[str]:
    """Return the names of all samples that there may be."""
    assert metrics.tasks is not None
    ends = {"histogram": ("_bucket", "_sum", "_count")}
    kinds = KINDS.findall(generate_latest(REGISTRY).decode())
    return {name + end for name, kind in kinds for end in ends.get(kind, ("",))}


@pytest.mark.parametrize("file", ["prometheus/alerts.yaml", "grafana/postern.json"])
def test_what_is_watched_is_measured(file: str) -> None:
    watched = set(NAME.findall((DEPLOY / file).read_text()))
    assert watched
    assert watched <= told()


def test_each_alert_is_explained() -> None:
    alerts = re.findall(r"alert: (\w+)", (DEPLOY / "prometheus" / "alerts.yaml").read_text())
    explained = re.findall(r"^\| `(Postern\w+)` \|", (ROOT / "docs" / "operating.md").read_text(), re.MULTILINE)
    assert sorted(alerts) == sorted(explained)


def test_the_dashboard_is_json() -> None:
    assert json.loads((DEPLOY / "grafana" / "postern.json").read_text())["panels"]


def test_nginx_lets_the_service_say_no_first() -> None:
    """What nginx limits is not tighter than what the service does, where clients would get another answer."""
    settings, text = make_settings(), (DEPLOY / "nginx" / "postern.conf").read_text()
    assert int(re.findall(r"client_max_body_size (\d+)m;", text)[0]) * 2**20 > settings.body_limit_bytes
    assert int(re.findall(r"proxy_read_timeout (\d+)s;", text)[0]) > settings.answer_seconds
    upstream = (DEPLOY / "nginx" / "upstream.conf").read_text()
    assert int(re.findall(r"keepalive_timeout (\d+)s;", upstream)[0]) < settings.keep_alive_seconds


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("systemd/postern.service", r"TimeoutStopSec=(\d+)"),
        ("compose.yaml", r"stop_grace_period: (\d+)s"),
        ("kubernetes/postern.yaml", r"terminationGracePeriodSeconds: (\d+)"),
    ],
)
def test_who_stops_the_service_waits_for_its_requests(file: str, pattern: str) -> None:
    found = re.findall(pattern, (DEPLOY / file).read_text())
    assert int(found[0]) > make_settings().shutdown_seconds + 5


CONFINED = {
    "compose.yaml": ["read_only: true", "cap_drop: [ALL]", '"no-new-privileges:true"'],
    "kubernetes/postern.yaml": [
        *("runAsNonRoot: true", "readOnlyRootFilesystem: true", "allowPrivilegeEscalation: false"),
        *("capabilities: {drop: [ALL]}", "seccompProfile: {type: RuntimeDefault}"),
    ],
}


@pytest.mark.parametrize("file", CONFINED)
def test_whatever_runs_the_image_confines_it(file: str) -> None:
    """The service and its migrations."""
    text = (DEPLOY / file).read_text()
    started = re.findall(r"^ +image: postern$", text, re.MULTILINE)
    assert len(started) == 2
    assert {line: text.count(line) for line in CONFINED[file]} == dict.fromkeys(CONFINED[file], 2)


def test_several_processes_have_a_folder_for_what_they_count() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert "--workers" in text
    assert "tmpfs: [/tmp]" in text


def test_an_image_that_traces_has_what_the_other_has_and_more() -> None:
    plain, tracing = (
        set(re.findall(r"^\S+==\S+", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-otel.txt")
    )
    assert plain < tracing
    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= {line.split("==")[0] for line in tracing}


def test_migrations_do_not_meet_the_server_that_only_makes_the_database() -> None:
    """The official image's first one listens on the Unix socket alone."""
    assert re.findall(r'"pg_isready", "--host=([^"]+)"', (DEPLOY / "compose.yaml").read_text()) == ["127.0.0.1"]


def test_kubernetes_runs_the_user_of_the_image() -> None:
    user = re.findall(r"^USER (\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert re.findall(r"runAsUser: (\d+)", (DEPLOY / "kubernetes" / "postern.yaml").read_text()) == 2 * user


def test_programs_of_postgresql_are_given_addresses_that_they_know() -> None:
    """`DATABASE_URL` may be postgresql+asyncpg://, say `ssl=`, and lead through PgBouncer."""
    told = re.findall(r"^\$.*\bpg_\w+ .*$", (ROOT / "docs" / "operating.md").read_text(), re.MULTILINE)
    assert [("postgresql://" in line, "_URL" in line) for line in told] == [(True, False)] * 2


def test_files_name_no_secret() -> None:
    for file in Path(DEPLOY).rglob("*.*"):
        assert not re.search(r"(?i)(password|secret_key)\s*[:=]\s*[\"']?[A-Za-z0-9]{8}", file.read_text()), file
