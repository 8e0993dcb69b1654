"""`make lint-migrations` refuses what would lock a large table, and lets pass how it is done without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT

FIRST, SECOND = (f"-- Running upgrade {step}\n\n" for step in ("0003 -> 0004", "0004 -> 0005"))
WIDER, LONGER = "ALTER TABLE posts ADD COLUMN words integer;", "ALTER TABLE ONLY public.users ADD COLUMN words integer;"

REFUSED = {
    "an index": "CREATE INDEX ix ON posts (title);",
    "a constraint that is checked at once": "ALTER TABLE posts ADD CONSTRAINT c CHECK (title <> '');",
    "a foreign key that is checked at once": "ALTER TABLE posts ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id);",
    "another type": "ALTER TABLE posts ALTER COLUMN title TYPE varchar(300);",
    "a column that has to be there": "ALTER TABLE posts ADD COLUMN words integer NOT NULL;",
    "a default that differs by row": "ALTER TABLE posts ADD COLUMN number double precision DEFAULT random();",
    "no null any more": "ALTER TABLE posts ALTER COLUMN title SET NOT NULL;",
    "a lock": "LOCK TABLE posts IN SHARE MODE;",
    "a lock behind a comment": "/* a table; */ -- in use; and large\nlock posts;",
    "no row any more": "TRUNCATE posts;",
    "a table in order": "CLUSTER posts USING pk_posts;",
    "a table anew": "COMMIT; VACUUM (FULL, ANALYZE) posts;",
    "all rows": "UPDATE posts SET title = title;",
    "all rows that have no value yet": "UPDATE posts AS p SET words = 0 WHERE words IS NULL;",
    "all rows, but for a few": "DELETE FROM ONLY public.posts WHERE id <> 'a; b';",
    "all rows, aside": "WITH gone AS (DELETE FROM posts RETURNING id) SELECT count(*) FROM gone;",
    "something that can't be looked into": "DO $$ BEGIN LOCK TABLE posts; END $$;",
    "two tables": f"BEGIN; {FIRST}{WIDER} {LONGER} COMMIT;",
    "two tables after one of its own": f"{FIRST}CREATE TABLE t (id bigint PRIMARY KEY); {WIDER} {LONGER}",
    "one that the migration before has made, and another": (
        f"{FIRST}CREATE TABLE posts (id bigint PRIMARY KEY); {SECOND}{WIDER} {LONGER}"
    ),
}
ACCEPTED = {
    "an index, concurrently": "CREATE INDEX CONCURRENTLY ix ON posts (title);",
    "a constraint, checked later": "ALTER TABLE posts ADD CONSTRAINT c CHECK (title <> '') NOT VALID;",
    "a column that may be absent": "ALTER TABLE posts ADD COLUMN words integer;",
    "a column with one default": "ALTER TABLE posts ADD COLUMN words integer DEFAULT 0 NOT NULL;",
    "a table": "BEGIN; CREATE TABLE things (id bigint PRIMARY KEY); CREATE INDEX ix ON things (id); COMMIT;",
    "Alembic's own writes": (
        "UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';"
        "INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING alembic_version.version_num;"
        "DELETE FROM alembic_version WHERE alembic_version.version_num = '0001';"
    ),
    "a row that is named": "UPDATE users SET role = 'admin' WHERE id = 1;",
    "rows that are named": "DELETE FROM posts WHERE posts.id IN ('a', 'b');",
    "rows of its own": "CREATE TABLE things (id bigint PRIMARY KEY); UPDATE things SET id = 1;",
    "rows that others write": (
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $f$ DELETE FROM posts; LOCK posts; $f$;"
        "ALTER TABLE comments ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u (id) ON DELETE CASCADE NOT VALID;"
    ),
    "words that are only words": "COMMENT ON TABLE posts IS 'TRUNCATE; LOCK posts; it''s; UPDATE posts';",
    "a table twice": f'{FIRST}{WIDER} ALTER TABLE "posts" ADD COLUMN letters integer;',
    "two tables, one by one": f"{FIRST}{WIDER} {SECOND}{LONGER}",
    "two tables, a transaction each": f"BEGIN; {FIRST}{WIDER} COMMIT; BEGIN; {LONGER} COMMIT;",
    "a table, and one of its own": f"{FIRST}CREATE UNLOGGED TABLE users (id bigint PRIMARY KEY); {LONGER} {WIDER}",
}


def linted(sql: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "migrations.sql"
    file.write_text(sql)
    command: list[str | Path] = [sys.executable, ROOT / ".ci" / "lint-migrations", file]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("sql", REFUSED.values(), ids=REFUSED.keys())
def test_what_would_lock_a_large_table_is_refused(sql: str, tmp_path: Path) -> None:
    done = linted(sql, tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"{tmp_path}/migrations.sql:" in done.stdout


@pytest.mark.parametrize("sql", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_locks_nobody_out_is_accepted(sql: str, tmp_path: Path) -> None:
    done = linted(sql, tmp_path)
    assert done.returncode == 0, done.stdout


def test_each_fault_has_its_line(tmp_path: Path) -> None:
    done = linted(f"SELECT 1;\n\n-- no; more\nTRUNCATE posts;\n{FIRST}{WIDER}\n{LONGER}\n", tmp_path)
    assert [line.split(":")[1] for line in done.stdout.splitlines() if line.startswith(str(tmp_path))] == ["4", "8"]
