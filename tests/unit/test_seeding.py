"""Rows that look like life's: the same for the same seed, in an order that could have been, with words of all kinds."""

from __future__ import annotations

import dataclasses
import operator
import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from pydantic import TypeAdapter
from service.api.schemas.fields import Email, Username
from service.seeding import vocabulary
from service.seeding.history import DAYS, Plan
from service.seeding.rows import CommentRow, PostRow, Rows, UserRow, moment_of
from service.uuid7 import uuid7

UNTIL = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLAN = Plan(users=400, posts=1500, comments=4000, seed=42, until=moment_of(UNTIL))
Everything = tuple[list[UserRow], list[PostRow], list[CommentRow]]
Row = tuple[Any, ...]


def made(plan: Plan) -> Everything:
    rows = Rows(plan, range(1, plan.users + 1))
    return list(rows.users("a hash")), list(rows.posts()), list(rows.comments())


def values(rows: Sequence[Row], column: int) -> list[Any]:
    return [row[column] for row in rows]


@pytest.fixture(scope="module")
def everything() -> Everything:
    return made(PLAN)


def test_there_are_as_many_rows_as_planned(everything: Everything) -> None:
    users, posts, comments = everything
    assert (len(users), len(posts), len(comments)) == (PLAN.users, PLAN.posts, PLAN.comments)


def test_the_same_plan_gives_the_same_rows(everything: Everything) -> None:
    assert made(PLAN) == everything


def test_another_seed_gives_other_rows(everything: Everything) -> None:
    others = made(dataclasses.replace(PLAN, seed=43))

    for number, column in ((0, 1), (0, 2), (0, 6), (1, 0), (2, 3)):
        assert values(everything[number], column) != values(others[number], column)
    assert not {row[1] for row in everything[0]} & {row[1] for row in others[0]}


def test_the_same_seed_at_another_time_gives_the_same_words(everything: Everything) -> None:
    later = made(dataclasses.replace(PLAN, until=PLAN.until + 86_400_000_000))

    assert [row[1:3] for row in later[0]] == [row[1:3] for row in everything[0]]
    assert [row[2:4] for row in later[1]] == [row[2:4] for row in everything[1]]


# Time


def test_time_rises_from_row_to_row_and_never_stands_still(everything: Everything) -> None:
    for rows, column in ((everything[0], 5), (everything[1], 4), (everything[2], 3)):
        assert all(before < after for before, after in pairwise(values(rows, column)))


def test_nothing_happens_in_the_future_or_before_it_all_begins(everything: Everything) -> None:
    begin = UNTIL - timedelta(days=DAYS)
    for rows in everything:
        for created_at, updated_at in zip(values(rows, -2), values(rows, -1), strict=True):
            assert begin <= created_at <= updated_at <= UNTIL


def test_it_is_spread_over_the_days_and_more_the_later(everything: Everything) -> None:
    halves = Counter(row[4] > UNTIL - timedelta(days=DAYS / 2) for row in everything[1])
    hours = Counter(row[4].hour for row in everything[1])

    assert 1.2 < halves[True] / halves[False] < 3
    assert sum(hours[hour] for hour in range(9, 21)) > 2 * sum(hours[hour] for hour in (*range(9), 21, 22, 23)) > 0


def test_nobody_writes_before_they_have_an_account(everything: Everything) -> None:
    users, posts, comments = everything
    joined = {row[0]: row[5] for row in users}

    assert all(joined[row[1]] < row[4] for row in posts)
    assert all(joined[row[1]] < row[3] for row in comments)


def test_comments_come_later_than_their_post(everything: Everything) -> None:
    posted = {row[0]: row[4] for row in everything[1]}

    assert all(posted[row[0]] < row[3] for row in everything[2])


def test_some_posts_and_comments_were_changed_later(everything: Everything) -> None:
    for rows in everything[1:]:
        changed = sum(map(operator.gt, values(rows, -1), values(rows, -2)))
        assert 0 < changed < len(rows) / 5


@pytest.mark.parametrize(
    ("users", "posts", "comments"), [(1, 0, 0), (1, 1, 0), (1, 1, 500), (3, 500, 1), (2, 2, 2)], ids=str
)
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_few_rows_of_a_kind_are_in_order_too(users: int, posts: int, comments: int, seed: int) -> None:
    everything = made(Plan(users, posts, comments, seed, moment_of(UNTIL)))

    test_nothing_happens_in_the_future_or_before_it_all_begins(everything)
    test_nobody_writes_before_they_have_an_account(everything)
    test_comments_come_later_than_their_post(everything)


def test_ids_of_posts_are_uuids_of_their_time_and_rise_with_it(everything: Everything) -> None:
    posts = everything[1]

    assert all(row[0].version == 7 and row[0].variant == "specified in RFC 4122" for row in posts)
    assert all(row[0].int >> 80 == moment_of(row[4]) // 1000 for row in posts)
    assert all(before[0] < after[0] for before, after in pairwise(posts))


def test_ids_rise_within_a_millisecond() -> None:
    ids = [uuid7(moment, 2**64 - 1 - moment) for moment in range(5_000)]

    assert ids == sorted(set(ids))


# Who and what


def test_names_and_emails_are_such_as_may_be_registered(everything: Everything) -> None:
    for row in everything[0]:
        assert TypeAdapter(Username).validate_python(row[1]) == row[1]
        assert TypeAdapter(Email).validate_python(row[2]) == row[2]


def test_names_and_emails_are_different_as_the_database_compares_them(everything: Everything) -> None:
    for column in (1, 2):
        keys = {unicodedata.normalize("NFKC", name).casefold() for name in values(everything[0], column)}
        assert len(keys) == PLAN.users


def test_names_are_in_several_scripts(everything: Everything) -> None:
    scripts = {unicodedata.name(letter).split()[0] for row in everything[0] for letter in row[1] if letter.isalpha()}

    assert {"LATIN", "CYRILLIC"} <= scripts
    assert len(scripts) >= 5


def test_emails_can_be_computed_by_whoever_tests_under_load(everything: Everything) -> None:
    assert [row[2] for row in everything[0]] == [f"user{number}@seed-42.example.com" for number in range(1, 401)]


def test_each_fiftieth_account_is_disabled(everything: Everything) -> None:
    assert [number for number, row in enumerate(everything[0], 1) if not row[4]] == list(range(50, 401, 50))


def test_texts_are_as_long_as_they_may_be(everything: Everything) -> None:
    assert all(1 <= len(row[2]) <= 200 for row in everything[1])
    assert all(1 <= len(row[3]) <= 65_536 for row in everything[1])
    assert all(1 <= len(row[2]) <= 8_192 for row in everything[2])


def test_sentences_begin_with_a_capital_and_end(everything: Everything) -> None:
    for row in everything[1]:
        assert row[2][0].isupper()
        assert row[3][0].isupper()
        assert row[3][-1] == "."
        assert not set("{}") & set(row[2] + row[3])


def test_some_words_are_common_and_many_are_rare(everything: Everything) -> None:
    posts = [set((row[2] + " " + row[3]).replace(".", " ").split()) for row in everything[1]]
    found_in = Counter(word for words in posts for word in words)

    assert found_in["time"] > len(posts) / 4
    assert sum(count == 1 for count in found_in.values()) > 200


def test_a_few_have_most(everything: Everything) -> None:
    for rows, column in ((everything[2], 0), (everything[1], 1), (everything[2], 1)):
        most = [count for _, count in Counter(values(rows, column)).most_common()]
        assert len(rows) / 100 < most[0] < len(rows) / 4
        assert sum(most[: len(most) // 5]) > len(rows) / 2


def test_places_have_different_names() -> None:
    assert len({vocabulary.place(number) for number in range(vocabulary.PLACES)}) == vocabulary.PLACES
