"""`make lint-migrations` refuses what would lock a large table, and lets pass how it is done without."""

from __future__ import annotations

import subprocess

import pytest
from tests.conftest import ROOT
from tests.support.processes import PROGRAMS

REFUSED = {
    "an index": "CREATE INDEX ix ON posts (title);",
    "a constraint that is checked at once": "ALTER TABLE posts ADD CONSTRAINT c CHECK (title <> '');",
    "a foreign key that is checked at once": "ALTER TABLE posts ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id);",
    "another type": "ALTER TABLE posts ALTER COLUMN title TYPE varchar(300);",
    "a column that has to be there": "ALTER TABLE posts ADD COLUMN words integer NOT NULL;",
    "a default that differs by row": "ALTER TABLE posts ADD COLUMN number double precision DEFAULT random();",
    "no null any more": "ALTER TABLE posts ALTER COLUMN title SET NOT NULL;",
}
ACCEPTED = {
    "an index, concurrently": "CREATE INDEX CONCURRENTLY ix ON posts (title);",
    "a constraint, checked later": "ALTER TABLE posts ADD CONSTRAINT c CHECK (title <> '') NOT VALID;",
    "a column that may be absent": "ALTER TABLE posts ADD COLUMN words integer;",
    "a column with one default": "ALTER TABLE posts ADD COLUMN words integer DEFAULT 0 NOT NULL;",
    "a table": "BEGIN; CREATE TABLE things (id bigint PRIMARY KEY); CREATE INDEX ix ON things (id); COMMIT;",
}


def linted(sql: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAMS / "squawk", "--config", ROOT / ".squawk.toml"],
        input=sql,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("sql", REFUSED.values(), ids=REFUSED.keys())
def test_what_would_lock_a_large_table_is_refused(sql: str) -> None:
    assert linted(sql).returncode == 1


@pytest.mark.parametrize("sql", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_locks_nobody_out_is_accepted(sql: str) -> None:
    done = linted(sql)
    assert done.returncode == 0, done.stdout
