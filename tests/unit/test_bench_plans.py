"""What the benchmarks are told on the command line, and what they make of figures."""

from __future__ import annotations

import pytest
from bench import compare, endurance, one_connection
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


@pytest.mark.parametrize(("together", "verdict"), [([1.05e-3, 1.2e-3, 1e-3], "kept"), ([1.2e-3] * 3, "**missed**")])
def test_what_is_promised_of_one_connection_is_the_median_of_the_rounds_ratios(
    together: list[float], verdict: str
) -> None:
    text = one_connection.report({"a read": {"together": together, "alone": [1e-3] * 3}})
    assert text.splitlines()[-1].endswith(f"| at most 1.1 | {verdict} |")


async def test_two_forms_take_turns_and_are_asked_as_often_in_each_round() -> None:
    asked: list[str] = []

    def form(name: str, seconds: float) -> one_connection.Ask:
        async def ask(requests: int) -> list[float]:
            asked.extend([name] * requests)
            return [seconds] * requests

        return ask

    taken = await one_connection.in_turns({"one": form("one", 1.0), "other": form("other", 2.0)}, 3, 40)
    assert taken == {"one": [1.0] * 3, "other": [2.0] * 3}
    assert asked.count("one") == asked.count("other") == 40 * (3 + one_connection.WARM_UP_ROUNDS)
    turns = [asked[start : start + 40] for start in range(0, len(asked), 40)]
    assert all(set(turn) == {"one", "other"} for turn in turns)
