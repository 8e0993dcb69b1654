"""What the benchmarks are told on the command line, and what they make of figures."""

from __future__ import annotations

from bench import compare


def test_a_comparison_on_other_rows_does_not_replace_the_usual_one() -> None:
    usual, grown = compare.plan([]), compare.plan(["--users", "10000"])
    assert (usual.users, usual.name) == (1000, "compare")
    assert (grown.users, grown.name) == (10_000, "compare-10000")
