"""What the peers work on: the service's database, made anew, migrated, and filled with as many rows as are asked for.

All rows are made by PostgreSQL, so that 10,000,000 of them are a matter of its speed alone. From `BARE_FROM` rows on
the indexes that are no constraints are built when the rows are there, at a fraction of what keeping them up costs.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import asyncpg
from argon2 import PasswordHasher
from service.config import Settings
from service.context import token_codec
from service.embedded import Cluster
from service.embedded.cluster import SUPERUSER
from service.tokens import Claims, TokenCodec, TokenType, new_jti, next_jti
from tests.support.processes import ROOT

USERS, CALLERS, POSTS_ASKED_FOR = 1000, 256, 256
PASSWORD = "a password of the benchmark"
ACCESS_SECONDS = 6 * 3600
"""How long its tokens are good for, so that they outlive the longest benchmark; each server is told so."""
LIFETIME = datetime.timedelta(seconds=ACCESS_SECONDS)
CHUNK, BARE_FROM = 250_000, 100_000
POSTS_OF_AUTHOR = 7
"""One account in so many writes, and so many posts."""

# Rows number $1 to $2. The newest of each are those with the highest numbers.
MADE_AT = "timestamptz '2024-01-01 UTC' + number * interval '1.000003 seconds'"
LOAD_USERS = f"""
    INSERT INTO users (username, email, password_hash, created_at, updated_at)
    SELECT 'user' || number, 'user' || number || '@example.com', $3, {MADE_AT}, {MADE_AT}
    FROM generate_series($1::bigint, $2) AS number
"""
# Sixty words each, about 300 characters; some are common and some are not, which is what a full-text index meets.
LOAD_POSTS = f"""
    INSERT INTO posts (author_id, title, body, created_at, updated_at)
    SELECT
        1 + number % greatest(1, $3::bigint / {POSTS_OF_AUTHOR}),
        'Number ' || number || ', and what became of it',
        (
            SELECT translate(string_agg(substr(md5(seed::text), 1, 4), ' '), '0123456789', 'ghijklmnop')
            FROM generate_series(1, 60) AS place,
                LATERAL (SELECT (number * 61 + place * place) % (place * 97 + 11)) AS drawn(seed)
        ),
        {MADE_AT}, {MADE_AT}
    FROM generate_series($1::bigint, $2) AS number
"""
POSTS_NUMBERED = f"SELECT posts.id FROM unnest($1::bigint[]) AS number JOIN posts ON created_at = {MADE_AT}"
INDEXES = """
    SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
    WHERE indrelid IN ('users'::regclass, 'posts'::regclass) AND NOT indisunique
"""
CALLERS_OF = """
    SELECT id, email FROM users WHERE id = (SELECT max(id) FROM users)
    UNION ALL (SELECT id, email FROM users WHERE id = ANY($1::bigint[]) ORDER BY id)
"""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The rows, and what asks for them: ``url`` is DATABASE_URL, ``tokens`` are of as many users, the newest first.

    ``user_ids`` and ``credentials``, emails and passwords, are those of the tokens' users, in the tokens' order.
    """

    url: str
    secret_key: str
    cluster: Cluster
    rows: int
    tokens: list[str]
    user_ids: list[int]
    credentials: list[tuple[str, str]]
    post_ids: list[uuid.UUID]

    def superuser_url(self) -> str:
        """Return where asyncpg reaches the database as the one who may do everything."""
        return self.cluster.url(role=SUPERUSER, scheme="postgresql")

    def token(
        self,
        user_id: int,
        session_id: uuid.UUID,
        *,
        jti: uuid.UUID | None = None,
        kind: TokenType = TokenType.ACCESS,
        age_seconds: int = 0,
        **names: str,
    ) -> str:
        """Sign a token that was issued so long ago; ``names`` are another issuer or audience."""
        issued_at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=age_seconds)
        claims = Claims(user_id, session_id, jti or new_jti(), issued_at, issued_at + LIFETIME)
        return codec_of(self.secret_key, **names).sign(claims, kind)


def codec_of(secret_key: str, **names: str) -> TokenCodec:
    """Return the service's codec for its secret, with another issuer or audience if they are named."""
    told = {f"token_{name}": value for name, value in names.items()}
    settings = Settings.load(
        _env_file=None, app_env="testing", secret_key=secret_key, access_token_seconds=ACCESS_SECONDS, **told
    )
    return token_codec(settings)


@contextmanager
def dataset(users: int = USERS, *, durable: bool = False) -> Iterator[Dataset]:
    """Start a PostgreSQL with so many users and as many posts; end it, and delete all of it. Only from a ``durable``
    one a standby can stream.

    To be entered from the main thread, without a running event loop.
    """
    secret_key = os.urandom(32).hex()
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder) / "postgres", ephemeral=not durable) as cluster:
        cluster.ensure_database()
        config = alembic.config.Config(ROOT / "alembic.ini", attributes={"database_url": cluster.url()})
        alembic.command.upgrade(config, "head")
        yield asyncio.run(_filled(cluster, secret_key, users))


async def _filled(cluster: Cluster, secret_key: str, rows: int) -> Dataset:
    settings, codec = Settings.load(_env_file=None, app_env="testing"), codec_of(secret_key)
    hasher = PasswordHasher(time_cost=settings.hash_passes, memory_cost=settings.hash_memory_kib, parallelism=1)
    connection = await asyncpg.connect(cluster.url(role=SUPERUSER, scheme="postgresql"))
    try:
        await _load(connection, rows, hasher.hash(PASSWORD))
        others = random.sample(range(1, rows), min(CALLERS, rows) - 1)
        callers = await connection.fetch(CALLERS_OF, others)
        tokens = [await _begin(connection, codec, caller["id"]) for caller in callers]
        some = random.sample(range(1, rows + 1), min(POSTS_ASKED_FOR, rows))
        posts = await connection.fetch(POSTS_NUMBERED, some)
    finally:
        await connection.close()
    return Dataset(
        url=cluster.url(scheme="postgresql"),
        secret_key=secret_key,
        cluster=cluster,
        rows=rows,
        tokens=tokens,
        user_ids=[caller["id"] for caller in callers],
        credentials=[(caller["email"], PASSWORD) for caller in callers],
        post_ids=[uuid.UUID(str(post["id"])) for post in posts],
    )


async def _load(connection: asyncpg.Connection, rows: int, password_hash: str) -> None:
    """Insert the rows, without checking their foreign keys: they are right."""
    await connection.execute("SET session_replication_role = replica")
    indexes = await connection.fetch(INDEXES) if rows >= BARE_FROM else []
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    await _insert(connection, "users", LOAD_USERS, rows, password_hash)
    await _insert(connection, "posts", LOAD_POSTS, rows, rows)
    # For this session alone, which builds them.
    await connection.execute("SET maintenance_work_mem = '512MB'; SET max_parallel_maintenance_workers = 1")
    for index in indexes:
        began = time.monotonic()
        await connection.execute(index["definition"])
        _say(f"{index['name']}", rows, began)
    await connection.execute("VACUUM (ANALYZE) users, posts, sessions")


async def _insert(connection: asyncpg.Connection, table: str, statement: str, rows: int, more: object) -> None:
    began = time.monotonic()
    for start in range(1, rows + 1, CHUNK):
        await connection.execute(statement, start, min(start + CHUNK - 1, rows), more)
    _say(table, rows, began)


async def _begin(connection: asyncpg.Connection, codec: TokenCodec, user_id: int) -> str:
    """Insert a session of a user; return its access token."""
    now, refresh_jti, session_id = datetime.datetime.now(datetime.UTC), new_jti(), uuid.uuid4()
    claims = Claims(user_id, session_id, next_jti(refresh_jti), now, now + LIFETIME)
    columns: dict[str, Any] = {
        "id": session_id,
        "user_id": user_id,
        "refresh_jti": refresh_jti,
        "access_jti": claims.jti,
        "kid": codec.signing_kid,
        "access_expires_at": claims.expires_at,
        "expires_at": now + datetime.timedelta(days=30),
        "ends_at": now + datetime.timedelta(days=90),
    }
    places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
    await connection.execute(f"INSERT INTO sessions ({', '.join(columns)}) VALUES ({places})", *columns.values())
    return codec.sign(claims, TokenType.ACCESS)


def _say(what: str, rows: int, began: float) -> None:
    if rows >= BARE_FROM:
        print(f"{what}: {rows} rows in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
