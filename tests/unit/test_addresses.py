"""Addresses of databases: none that is let through fails before it is connected to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from service.addresses import faults_of_address
from service.config import Settings
from service.repositories.engine import create_engine

START = "postgresql://u:pw-4711@"
LONG = "a" * 63

GOOD = [
    "db/x",
    "db:5433/x",
    "/x",
    "/x?host=/run/postgresql",
    "/x?host=/run/postgresql&port=5433",
    "[::1]:5433/x",
    "bücher.example/x",
    "db.example./x",
    f"{LONG}.example/x",
    "/x?host=::1",
    "/x?host=db:5433",
    "/x?host=a:5432&host=b:5433",
    "/x?host=a,b&port=5432,5433",
    "db/x?port=5433",
    "db/x?ssl=require&sslmode=require",
    *(f"db/x?ssl={mode}" for mode in ("disable", "allow", "prefer", "require")),
    *(
        f"db/x?target_session_attrs={wanted}"
        for wanted in ("any", "primary", "standby", "prefer-standby", "read-write", "read-only")
    ),
]
BAD = {
    "db/x?ssl=on": "ssl is one of",
    "db/x?ssl=true": "ssl is one of",
    "db/x?sslmode=verify_full": "sslmode is one of",
    "db/x?sslmode=require&sslmode=disable": "sslmode is there more than once",
    "db/x?ssl=require&sslmode=disable": "ssl and sslmode",
    "db/x?target_session_attrs=nonsense": "target_session_attrs is one of",
    "db/x?target_session_attrs=any&target_session_attrs=any": "target_session_attrs is there",
    "/x?host=a:b&host=c": "",
    "/x?host=a:1&host=c": "several hosts",
    "/x?host=a:1:2&host=c:1": "a port is",
    "/x?host=a,b": "several hosts",
    "/x?host=a,b&port=1": "several hosts",
    "/x?host=a&port=1,2": "several hosts",
    "/x?host=a:1&host=b:2&port=1,2": "ports are written",
    "/x?host=a,,b&port=1,2,3": "a host is",
    "/x?host=a:b": "a port is",
    "db/x?port=abc": "a port is",
    "db/x?port=0": "a port is",
    "db/x?port=65536": "a port is",
    f"db/x?port={'1' * 5000}": "a port is",
    "db/x?port=%2B1": "a port is",
    "db/x?port=1,2": "several hosts",
    "a..b/x": "a host is",
    f"{LONG}a.example/x": "a host is",
    "/x?host=a..b": "a host is",
    "/x?host=a,b..c&port=1,2": "a host is",
    "/x?host=%00": "a host is",
    "a,b:5432/x": "a host is",
    "\udcff/x": "a host is",
}


@pytest.mark.parametrize("address", GOOD)
def test_an_address_is_let_through_that_the_driver_understands(address: str) -> None:
    assert list(faults_of_address("DATABASE_URL", START + address)) == []

    settings = Settings.load(app_env="testing", _env_file=None)
    asyncio.run(create_engine(settings, START + address).dispose())


@pytest.mark.parametrize(("address", "said"), BAD.items(), ids=[ascii(address)[:40] for address in BAD])
def test_an_address_is_refused_without_its_values(address: str, said: str) -> None:
    faults = list(faults_of_address("MIGRATION_URL", START + address))

    assert any(said in fault for fault in faults)
    for fault in faults:
        assert fault.startswith("MIGRATION_URL")
        assert "\n" not in fault
        assert "4711" not in fault


@pytest.mark.parametrize("parameter", ["ssl=verify-ca", "sslmode=verify-full"])
def test_certificates_are_verified_by_roots_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parameter: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    address = f"{START}db/x?{parameter}"

    [fault] = faults_of_address("DATABASE_URL", address)
    assert "~/.postgresql/root.crt" in fault

    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").touch()
    assert list(faults_of_address("DATABASE_URL", address)) == []

    monkeypatch.setenv("PGSSLROOTCERT", str(tmp_path / "elsewhere.crt"))
    assert len(list(faults_of_address("DATABASE_URL", address))) == 1
