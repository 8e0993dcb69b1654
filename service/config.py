"""Settings: what an operator may set, in the environment or in `.env` (contract: Configuration and operation).

Nothing of ours is imported but `service.addresses`, and nothing is read at import: `Settings.load()` does it once, at
start.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Set
from importlib.util import find_spec
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.addresses import faults_of_address

SECRET_KEY_BYTES = 32
"""RFC 7518 §3.2: a key of HS256 is at least as long as the hash."""
HASH_COST_KIB = 35_840
"""Passes times memory of the cheapest argon2id that OWASP names (Password Storage Cheat Sheet): m=7168 KiB, t=5."""
DEAREST_HASH_COST_KIB = 2**20
"""Passes times memory of the dearest hash that is checked at all: about half a second."""

# What the examples of this project, of the guide and of most tutorials have in them, and chance does not.
_EXAMPLE_MARKS = (
    "change-me",
    "change_me",
    "changeme",
    "change-this",
    "change-in-production",
    "change_in_production",
    "secret-key",
    "secret_key",
    "super-secret",
    "supersecret",
    "your-secret",
    "your_secret",
    "do-not-use",
    "in-production",
    "replace-me",
    "example",
)

_SETTING = re.compile(r"\b[A-Z][A-Z_]+\b")
"""The name of one, in a line about a fault."""

PROCESSES = "POSTERN_PROCESSES"
"""In the environment of a process that has others beside it: how many share the cores."""


def _part_of_cores() -> int:
    return max(1, (os.cpu_count() or 1) // int(os.environ.get(PROCESSES, "1")))


class ConfigurationError(Exception):
    """The settings can't be used; ``faults`` has one line for each reason."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


class DatabaseSettings(BaseSettings):
    """What is needed to reach the database, and all that a migration needs."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        env_file=".env",
        allow_inf_nan=False,
    )

    app_env: Literal["production", "development", "testing"] = "production"

    database_url: SecretStr | None = Field(None, description="postgresql://… or postgresql+asyncpg://…")
    database_ro_url: SecretStr | None = Field(None, description="a streaming standby of it, for lists and single reads")
    migration_url: SecretStr | None = Field(None, description="DATABASE_URL without the pooler, for migrations")
    db_pooler: Literal["transaction", "transaction-unprepared"] | None = Field(
        None, description="both addresses lead through PgBouncer; unprepared: it is older than 1.21, or told not to"
    )
    pool_size: int = Field(10, ge=1, description="database connections of one process")
    pool_wait_seconds: float = Field(2, gt=0)
    connect_seconds: float = Field(3, gt=0)
    # PostgreSQL counts milliseconds, of which 0 is no limit, and as many as 32 bits hold.
    statement_seconds: float = Field(4, ge=0.001, le=86_400, description="statement_timeout of each connection")
    lock_seconds: float = Field(2, ge=0.001, le=86_400, description="lock_timeout of each connection")
    idle_in_transaction_seconds: float = Field(10, ge=0.001, le=86_400)

    @classmethod
    def load(cls, **values: Any) -> Self:
        """Read the settings; ``values`` go before the environment.

        Raises:
            ConfigurationError: a value is not of its kind, or production would not be safe.
        """
        try:
            settings = cls(**values)
        except ValidationError as error:
            wrong = {str(fault["loc"][0]): fault["msg"] for fault in error.errors(include_input=False)}
            lines = [f"{name.upper()}: {message}" for name, message in wrong.items()]
            # The original shows values, and some are secrets.
            raise ConfigurationError([*lines, *cls._faults_beside(wrong.keys(), values)]) from None
        faults = list(settings._faults())
        if faults:
            raise ConfigurationError(faults)
        return settings._completed()

    @classmethod
    def _faults_beside(cls, wrong: Set[str], values: dict[str, Any]) -> Iterator[str]:
        """Yield what else would be refused, were the fields at their defaults whose values are not of their kind."""
        defaults = {name: cls.model_fields[name].get_default(call_default_factory=True) for name in wrong}
        for fault in cls(**values | defaults)._faults():
            if not {name.upper() for name in wrong} & set(_SETTING.findall(fault)):
                yield fault

    @property
    def production(self) -> bool:
        """Whether unsafe settings are refused."""
        return self.app_env == "production"

    def _faults(self) -> Iterator[str]:
        for name in ("database_url", "database_ro_url", "migration_url"):
            if url := getattr(self, name):
                yield from faults_of_address(name.upper(), url.get_secret_value())
        if self.production and not self.database_url:
            yield "DATABASE_URL is missing: set it to postgresql://user:password@host/database"
        elif not self.database_url and (self.database_ro_url or self.migration_url or self.db_pooler):
            yield "DATABASE_URL is missing: DATABASE_RO_URL, MIGRATION_URL and DB_POOLER say more of it"

    def _completed(self) -> Self:
        """Fill in what production has to be told and development need not be."""
        return self


class Settings(DatabaseSettings):
    """The settings of one process. Field names are the environment's, in lower case."""

    debug: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    secret_key: SecretStr | None = Field(None, description=f"signs tokens; at least {SECRET_KEY_BYTES} bytes")
    secret_key_fallbacks: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="comma-separated: former or coming SECRET_KEYs, which sign no new token"
    )
    token_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        ("SECRET_KEY",), description="comma-separated PEM files or SECRET_KEY: the first signs tokens, all verify"
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="an OpenTelemetry collector's address for OTLP over HTTP: http://host:4318"
    )
    metrics_token: SecretStr | None = Field(None, description="bearer token that /metrics asks for; public without")
    cors_origins: Annotated[tuple[str, ...], NoDecode] | None = Field(None, description="comma-separated, or *")
    cors_credentials: bool = Field(False, description="lets browsers send cookies; never together with *")
    trusted_proxies: int = Field(0, ge=0, le=10, description="reverse proxies whose X-Forwarded-* are believed")

    access_token_seconds: int = Field(900, ge=1, le=86_400)
    refresh_token_seconds: int = Field(30 * 86_400, ge=1, description="slides with each refresh")
    session_seconds: int = Field(90 * 86_400, ge=1, description="a session lives no longer, however often refreshed")
    token_limit_bytes: int = Field(4096, ge=1024)
    token_issuer: str = "postern"
    token_audience: str = "postern"

    rate_limit_enabled: bool = Field(True, description="false: no rate limits and no lock-out, for load tests")
    login_rate: int = Field(30, ge=1, description="a minute, for one address; the other rates alike")
    login_account_rate: int = Field(10, ge=1, description="a minute, for one account and address")
    registration_rate: int = Field(10, ge=1)
    refresh_rate: int = Field(60, ge=1)
    token_rate: int = Field(30, ge=1, description="of /api/auth/token")
    password_rate: int = Field(10, ge=1)
    purge_seconds: float = Field(300, gt=0, description="between two removals of expired rows")

    idempotency_seconds: int = Field(86_400, ge=1, description="for how long an Idempotency-Key gets its first answer")

    hash_passes: int = Field(2, ge=1, le=64, description="argon2id's t")
    hash_memory_kib: int = Field(19_456, ge=8, le=262_144, description="argon2id's m")
    hash_threads: int = Field(default_factory=_part_of_cores, ge=1, description="passwords at once")
    hash_queue: int = Field(64, ge=0, description="passwords that may wait for a thread")
    hash_wait_seconds: float = Field(2, gt=0)

    head_seconds: float = Field(5, gt=0, description="for a request's head to arrive, from its first byte")
    body_limit_bytes: int = Field(2**20, ge=1)
    body_seconds: float = Field(10, gt=0, description="for the whole body to arrive")
    url_limit_bytes: int = Field(4096, ge=16)
    header_limit_bytes: int = Field(16_384, ge=256)
    header_limit_fields: int = Field(64, ge=1)
    answer_seconds: float = Field(10, gt=0, description="from the whole body to the start of the answer")
    stall_seconds: float = Field(30, gt=0, description="for one chunk of an answer to be taken")
    keep_alive_seconds: float = Field(75, gt=0)
    shutdown_seconds: float = Field(20, gt=0, description="for requests in flight when the service is stopped")

    @field_validator("cors_origins", "secret_key_fallbacks", "token_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @property
    def names_its_secret(self) -> bool:
        """Whether the operator gave a key, rather than `load` having made one up for this process."""
        return "secret_key" in self.model_fields_set

    def secrets(self) -> tuple[SecretStr, ...]:
        """Return SECRET_KEY, then its fallbacks."""
        return (*([self.secret_key] if self.secret_key else []), *self.secret_key_fallbacks)

    def warnings(self) -> Iterator[str]:
        """Yield a line for each setting that production should not have for long."""
        if self.production and not self.rate_limit_enabled:
            yield "RATE_LIMIT_ENABLED is false: passwords can be guessed as fast as they can be checked"

    def _faults(self) -> Iterator[str]:
        yield from super()._faults()
        if "*" in self._allowed_origins() and self.cors_credentials:
            yield "CORS_ORIGINS=* can't be combined with CORS_CREDENTIALS: list the origins"
        if self.hash_passes * self.hash_memory_kib > DEAREST_HASH_COST_KIB:
            yield f"HASH_PASSES times HASH_MEMORY_KIB is above {DEAREST_HASH_COST_KIB}: no login would check it"
        if self.otel_exporter_otlp_endpoint:
            if not _is_web_address(self.otel_exporter_otlp_endpoint):
                yield "OTEL_EXPORTER_OTLP_ENDPOINT has to look like http://host:4318, or https://, and names no user"
            if not all(map(_is_installed, ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"))):
                yield "OTEL_EXPORTER_OTLP_ENDPOINT needs an extra: pip install 'postern[otel]', or leave it out"
        if not self.token_keys:
            yield "TOKEN_KEYS names no key: leave it out, or list PEM files or SECRET_KEY"
        elif self.secret_key_fallbacks and "SECRET_KEY" not in self.token_keys:
            yield "SECRET_KEY_FALLBACKS verify nothing while TOKEN_KEYS leaves SECRET_KEY out: list it, or remove them"
        if self.production:
            yield from self._faults_in_production()

    def _faults_in_production(self) -> Iterator[str]:
        if self.secret_key is None:
            yield f"SECRET_KEY is missing: set it to {SECRET_KEY_BYTES} random bytes or more (openssl rand -base64 48)"
        else:
            yield from _faults_of_secret("SECRET_KEY", self.secret_key.get_secret_value())
        for secret in self.secret_key_fallbacks:
            yield from _faults_of_secret("SECRET_KEY_FALLBACKS: one", secret.get_secret_value())
        if self.hash_passes * self.hash_memory_kib < HASH_COST_KIB:
            yield f"HASH_PASSES times HASH_MEMORY_KIB is below {HASH_COST_KIB}: passwords would be cheap to guess"
        if self.debug:
            yield "DEBUG is on: production runs without it"

    def _allowed_origins(self) -> tuple[str, ...]:
        return (() if self.production else ("*",)) if self.cors_origins is None else self.cors_origins

    def _completed(self) -> Self:
        filled: dict[str, Any] = {}
        if self.secret_key is None:
            filled["secret_key"] = SecretStr(secrets.token_urlsafe(SECRET_KEY_BYTES))
        filled["cors_origins"] = self._allowed_origins()
        completed = self.model_copy(update=filled)
        completed.__pydantic_fields_set__.difference_update(filled)
        return completed


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an end, a port that is no number
        return False
    return named and parts.scheme in ("http", "https") and "@" not in parts.netloc and not set(url) & set(" \t\r\n")


def _is_installed(module: str) -> bool:
    """Tell whether a module is there. Its packages are imported; of some, others may have installed a part."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _faults_of_secret(name: str, secret: str) -> Iterator[str]:
    if len(secret.encode(errors="surrogateescape")) < SECRET_KEY_BYTES:
        yield f"{name} is too short: {SECRET_KEY_BYTES} bytes at least (openssl rand -base64 48)"
    elif any(mark in secret.lower() for mark in _EXAMPLE_MARKS) or len(set(secret.strip())) < 10:
        yield f"{name} is an example's or too plain: make one of your own (openssl rand -base64 48)"
