"""What the benchmarks are told on the command line, and what they make of figures."""

from __future__ import annotations

import pytest
from bench import compare, endurance
from bench.tables import NOTHING


def test_a_comparison_on_other_rows_does_not_replace_the_usual_one() -> None:
    usual, grown = compare.plan([]), compare.plan(["--users", "10000"])
    assert (usual.users, usual.name) == (1000, "compare")
    assert (grown.users, grown.name) == (10_000, "compare-10000")


def test_a_check_of_endurance_leaves_no_file() -> None:
    assert endurance.plan(["--check"]).results is None
    assert endurance.plan(["--requests", "50"]).results == endurance.RESULTS


@pytest.mark.parametrize("requests", [10, 2000, 123_457])
def test_endurance_asks_in_ten_parts_that_are_all_of_it(requests: int) -> None:
    parts = endurance.parts(requests)
    assert (len(parts), sum(parts)) == (10, requests)
    assert max(parts) - min(parts) <= 1


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [(200, 201, "+0.5 %"), (200, 150, "-25.0 %"), (7, 7, "0 %"), (0, 0, "0 %"), (0, 1, NOTHING)],
)
def test_growth_is_told_in_per_cent_of_the_first(first: int, last: int, told: str) -> None:
    assert endurance.growth(first, last) == told
