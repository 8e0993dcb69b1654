from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from service.config import ConfigurationError, DatabaseSettings, Settings
from service.repositories.engine import create_engine

GOOD_SECRET = "qX9v2mT7pLw4sR8kZc1nB6yH3jF5dG0a"
GOOD: dict[str, Any] = {"database_url": "postgresql://postern:pw-4711@db/postern", "secret_key": GOOD_SECRET}


@pytest.fixture(autouse=True)
def nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and no setting in the environment."""
    for name in list(os.environ):
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def faults(load: Callable[..., object] = Settings.load, **values: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        load(**values)
    return refused.value.faults


def test_production_is_the_default() -> None:
    assert Settings.load(**GOOD).production


@pytest.mark.parametrize("app_env", ["development", "testing"])
def test_elsewhere_nothing_is_needed(app_env: str) -> None:
    settings = Settings.load(app_env=app_env)

    assert settings.secret_key is not None
    assert len(settings.secret_key.get_secret_value().encode()) >= 32
    assert settings.cors_origins == ("*",)


def test_a_key_that_was_made_up_is_another_each_time() -> None:
    assert Settings.load(app_env="testing").secret_key != Settings.load(app_env="testing").secret_key


def test_a_made_up_key_is_told_from_the_operators() -> None:
    assert not Settings.load(app_env="testing").names_its_secret
    assert Settings.load(**GOOD).names_its_secret


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        pytest.param({"secret_key": None}, "SECRET_KEY", id="no secret"),
        pytest.param({"secret_key": "qX9v2mT7pLw4sR8kZc1nB6yH3jF5dG0"}, "SECRET_KEY", id="31 bytes"),
        pytest.param({"secret_key": "change-me-openssl-rand-base64-48"}, "SECRET_KEY", id="our example"),
        pytest.param({"secret_key": "your-secret-key-change-in-production"}, "SECRET_KEY", id="the guide's"),
        pytest.param({"secret_key": "super-secret-key-that-is-long-enough"}, "SECRET_KEY", id="an example"),
        pytest.param({"secret_key": "a" * 64}, "SECRET_KEY", id="one letter"),
        pytest.param({"secret_key": "abcdefgh" * 4}, "SECRET_KEY", id="eight letters"),
        pytest.param({"secret_key": " " * 36 + "abcdefgh"}, "SECRET_KEY", id="blanks"),
        pytest.param(
            {"secret_key": "jwt-dev-key-do-not-use-in-production-0123"}, "SECRET_KEY", id="not for production"
        ),
        pytest.param({"secret_key_fallbacks": "short-4711"}, "SECRET_KEY_FALLBACKS", id="a short fallback"),
        pytest.param({"secret_key_fallbacks": GOOD_SECRET + "x," + "ab" * 20}, "SECRET_KEY_FALLBACKS", id="a plain"),
        pytest.param(
            {"secret_key_fallbacks": f"{GOOD_SECRET}x", "token_keys": "a.pem"}, "SECRET_KEY_FALLBACKS", id="unused ones"
        ),
        pytest.param({"token_keys": " , "}, "TOKEN_KEYS", id="no key"),
        pytest.param({"statement_seconds": "inf"}, "STATEMENT_SECONDS", id="without end"),
        pytest.param({"statement_seconds": 99_999_999_999}, "STATEMENT_SECONDS", id="beyond 32 bits"),
        pytest.param({"lock_seconds": 86_401}, "LOCK_SECONDS", id="more than a day"),
        pytest.param({"idle_in_transaction_seconds": 0.0001}, "IDLE_IN_TRANSACTION_SECONDS", id="rounds to no limit"),
        pytest.param({"secret_key": "\udcff" * 40}, "SECRET_KEY", id="bytes that are not utf-8"),
        pytest.param({"database_url": None}, "DATABASE_URL", id="no database"),
        pytest.param({"database_ro_url": "mysql://root:pw-4711@db/x"}, "DATABASE_RO_URL", id="a standby of another"),
        pytest.param({"migration_url": "postgresql://u:pw-4711@db"}, "MIGRATION_URL", id="migrations of no database"),
        pytest.param({"db_pooler": "session"}, "DB_POOLER", id="another mode of the pooler"),
        pytest.param({"database_url": "mysql://root:pw-4711@db/x"}, "DATABASE_URL", id="another database"),
        pytest.param({"database_url": "postgresql+psycopg://root:pw-4711@db/x"}, "DATABASE_URL", id="another driver"),
        pytest.param({"database_url": "postgresql://u:pw-4711@db:port/x"}, "DATABASE_URL", id="port no number"),
        pytest.param({"database_url": "postgresql://u:p@db/x?color=4711"}, "DATABASE_URL", id="unknown parameter"),
        pytest.param({"database_url": "postgresql://u:p@db/x?sslmode=4711"}, "DATABASE_URL", id="unknown sslmode"),
        pytest.param({"debug": True}, "DEBUG", id="debug"),
        pytest.param({"cors_origins": "*", "cors_credentials": True}, "CORS_ORIGINS", id="any origin, credentials"),
        pytest.param(
            {"cors_origins": "https://a.example.com, *", "cors_credentials": True}, "CORS_ORIGINS", id="one of them any"
        ),
        pytest.param({"app_env": "staging-4711"}, "APP_ENV", id="unknown environment"),
        pytest.param({"pool_size": "many-4711"}, "POOL_SIZE", id="no number"),
        pytest.param({"trusted_proxies": -1}, "TRUSTED_PROXIES", id="negative"),
        pytest.param({"access_token_seconds": 0}, "ACCESS_TOKEN_SECONDS", id="zero"),
    ],
)
def test_production_refuses_in_one_line_without_the_value(changes: dict[str, Any], name: str) -> None:
    [line] = faults(**{key: value for key, value in (GOOD | changes).items() if value is not None})

    assert name in line
    assert "\n" not in line
    assert "4711" not in line
    assert str(changes.get("secret_key")) not in line
    assert GOOD_SECRET not in line


def test_each_fault_has_a_line() -> None:
    lines = faults(debug=True, cors_origins="*", cors_credentials=True)

    assert [line.split()[0].partition("=")[0] for line in sorted(lines)] == [
        "CORS_ORIGINS",
        "DATABASE_URL",
        "DEBUG",
        "SECRET_KEY",
    ]


def test_each_wrong_value_has_a_line() -> None:
    assert len(faults(**GOOD, pool_size="x", hash_threads="y", debug="z")) == 3


def test_a_wrong_value_hides_no_other_fault() -> None:
    lines = faults(secret_key="x", debug=True, cors_origins="*", cors_credentials=True, database_url="x", pool_size="0")

    assert [line.replace(":", " ").replace("=", " ").split()[0] for line in sorted(lines)] == [
        "CORS_ORIGINS",
        "DATABASE_URL",
        "DEBUG",
        "POOL_SIZE",
        "SECRET_KEY",
    ]


def test_a_wrong_value_in_the_environment_hides_no_other_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOL_SIZE", "many")
    monkeypatch.setenv("DEBUG", "1")

    assert sorted(line.split()[0] for line in faults(**GOOD)) == ["DEBUG", "POOL_SIZE:"]


@pytest.mark.parametrize(
    "changes", [{"hash_passes": 0}, {"hash_memory_kib": 0, "hash_passes": 1}], ids=["passes", "memory"]
)
def test_a_wrong_value_has_one_line_and_none_about_its_default(changes: dict[str, Any]) -> None:
    assert len(faults(**GOOD, **changes)) == 1


@pytest.mark.parametrize("origins", ["*", "https://a.example.com,https://b.example.com"], ids=["any", "a list"])
def test_production_may_answer_other_origins(origins: str) -> None:
    assert Settings.load(**GOOD, cors_origins=origins).cors_origins == tuple(origins.split(","))


def test_production_answers_no_other_origin_unless_told() -> None:
    assert Settings.load(**GOOD).cors_origins == ()


def test_origins_are_trimmed() -> None:
    settings = Settings.load(app_env="testing", cors_origins=" https://a.example.com , ,https://b.example.com ")

    assert settings.cors_origins == ("https://a.example.com", "https://b.example.com")


def test_the_secret_signs_by_default() -> None:
    assert Settings.load(**GOOD).token_keys == ("SECRET_KEY",)


def test_keys_and_former_secrets_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_KEYS", "/run/keys/new.pem , SECRET_KEY,")
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", f" {GOOD_SECRET}x ,{GOOD_SECRET}y")

    settings = Settings.load(**GOOD)

    assert settings.token_keys == ("/run/keys/new.pem", "SECRET_KEY")
    assert [secret.get_secret_value() for secret in settings.secret_key_fallbacks] == [
        GOOD_SECRET + "x",
        GOOD_SECRET + "y",
    ]


def test_a_former_secret_may_be_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"SECRET_KEY_FALLBACKS", bytes(range(0x80, 0xB0)))

    [fallback] = Settings.load(**GOOD).secret_key_fallbacks

    assert fallback.get_secret_value().encode(errors="surrogateescape") == bytes(range(0x80, 0xB0))


def test_32_bytes_may_be_fewer_letters() -> None:
    assert Settings.load(**GOOD | {"secret_key": "äöüßéèêàçñøåæœÿþ"}).names_its_secret


@pytest.mark.parametrize("show", [repr, str, lambda settings: settings.model_dump_json()], ids=["repr", "str", "json"])
def test_settings_do_not_show_their_secrets(show: Callable[[Settings], str]) -> None:
    shown = show(Settings.load(**GOOD, metrics_token="token-4711", secret_key_fallbacks=GOOD_SECRET + "4711"))

    assert GOOD_SECRET not in shown
    assert "4711" not in shown


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "testing")
    monkeypatch.setenv("POOL_SIZE", "3")
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example.com,https://b.example.com")

    settings = Settings.load()

    assert (settings.app_env, settings.pool_size) == ("testing", 3)
    assert settings.cors_origins == ("https://a.example.com", "https://b.example.com")


def test_a_dotenv_file_is_read(nothing_around: Path) -> None:
    (nothing_around / ".env").write_text("APP_ENV=testing\nPOOL_SIZE=3\nUNKNOWN=x\n")

    assert Settings.load().pool_size == 3


def test_the_environment_goes_before_the_dotenv_file(nothing_around: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nothing_around / ".env").write_text("APP_ENV=testing\nPOOL_SIZE=3\n")
    monkeypatch.setenv("POOL_SIZE", "4")

    assert Settings.load().pool_size == 4


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "POOL_SIZE", "CORS_ORIGINS", "DEBUG", "METRICS_TOKEN"])
def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("APP_ENV", "testing")
    monkeypatch.setenv(name, "")

    assert name.lower() not in Settings.load().model_fields_set


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings.load(app_env="testing").pool_size = 3  # type: ignore[misc]  # what must not work


def test_a_migration_needs_only_the_database() -> None:
    assert DatabaseSettings.load(database_url=GOOD["database_url"]).production


def test_a_migration_needs_the_database() -> None:
    [line] = faults(DatabaseSettings.load)

    assert "DATABASE_URL" in line


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:p%40w@db:5433/x",
        "postgresql+asyncpg://u:p%40w@db:5433/x",
        "postgres://u:p%40w@db:5433/x",
        "postgresql://u:p%40w@db:5433/x?sslmode=require",
    ],
)
def test_addresses_of_postgresql_reach_the_driver(address: str) -> None:
    settings = Settings.load(**GOOD | {"database_url": address})
    engine = create_engine(settings, address)

    assert engine.url.drivername == "postgresql+asyncpg"
    assert (engine.url.username, engine.url.password, engine.url.host, engine.url.port) == ("u", "p@w", "db", 5433)
    asyncio.run(engine.dispose())


def test_sslmode_becomes_what_asyncpg_knows() -> None:
    address = "postgresql://u@db/x?sslmode=verify-full&target_session_attrs=read-write"

    assert dict(create_engine(Settings.load(app_env="testing"), address).url.query) == {
        "ssl": "verify-full",
        "target_session_attrs": "read-write",
    }


def test_any_origin_by_default_is_not_combined_with_credentials_either() -> None:
    with pytest.raises(ConfigurationError, match="CORS_ORIGINS"):
        Settings.load(_env_file=None, app_env="development", cors_credentials=True)


def test_a_key_of_ones_own_may_have_words_in_it() -> None:
    settings = Settings.load(
        _env_file=None, database_url="postgresql://u@db/x", secret_key="this-exchange-of-keys-is-random-83b1"
    )
    assert settings.secret_key is not None


@pytest.mark.parametrize(("passes", "memory_kib", "word"), [(1, 35_839, "below"), (5, 262_144, "above")])
def test_hashes_that_are_too_cheap_or_that_no_login_would_check_are_refused(
    passes: int, memory_kib: int, word: str
) -> None:
    (fault,) = faults(**GOOD, hash_passes=passes, hash_memory_kib=memory_kib)

    assert fault.startswith(f"HASH_PASSES times HASH_MEMORY_KIB is {word} ")


@pytest.mark.parametrize(("passes", "memory_kib"), [(2, 19_456), (5, 7_168), (4, 262_144)])
def test_hashes_of_a_cost_between_are_fine(passes: int, memory_kib: int) -> None:
    assert Settings.load(**GOOD, hash_passes=passes, hash_memory_kib=memory_kib).hash_passes == passes


@pytest.mark.parametrize(
    "endpoint",
    [
        "junk-4711",
        "host-4711:4318",
        "grpc://host-4711:4317",
        "http://",
        "http://:4318",
        "http://host-4711:port",
        "http://[::1",
        "http://u:pw-4711@host:4318",
        "https://host 4711",
    ],
)
def test_a_collector_has_an_address_of_the_web(endpoint: str) -> None:
    [fault] = faults(**GOOD, otel_exporter_otlp_endpoint=endpoint)

    assert fault.startswith("OTEL_EXPORTER_OTLP_ENDPOINT has to look like http://host:4318")
    assert "4711" not in fault


@pytest.mark.parametrize("endpoint", ["http://host:4318", "https://collector.example/otlp", "http://[::1]:4318/"])
def test_a_collector_is_reached_by_http(endpoint: str) -> None:
    assert Settings.load(**GOOD, otel_exporter_otlp_endpoint=endpoint).otel_exporter_otlp_endpoint == endpoint


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter.otlp"])
def test_tracing_needs_all_of_its_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nowhere(MetaPathFinder):
        def find_spec(self, fullname: str, path: object, target: object = None) -> None:
            if fullname == missing:
                raise ModuleNotFoundError(fullname)

    for name in [name for name in sys.modules if f"{name}.".startswith(f"{missing}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Nowhere(), *sys.meta_path])

    [fault] = faults(**GOOD, otel_exporter_otlp_endpoint="http://host:4318")

    assert fault.startswith("OTEL_EXPORTER_OTLP_ENDPOINT needs an extra")
