"""How values are printed."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from console_fakes import MODEL, NOW, FakeClient

from console import readable, tables
from controlplane import wire


@pytest.mark.parametrize(
    ("value", "unit", "printed"),
    [
        (None, "s", "–"),
        (float("nan"), "", "–"),
        (0.8571, "%", "85.7 %"),
        (1.0, "%", "100.0 %"),
        (3.14159, "s", "3.14 s"),
        (0.000123, "", "0.000123"),
        (8.0, "s", "8 s"),
        (1234.5, "tokens/s", "1,234 tokens/s"),
    ],
)
def test_a_number_has_its_unit_and_sensible_digits(value: float | None, unit: str, printed: str) -> None:
    assert readable.number(value, unit) == printed


@pytest.mark.parametrize(
    ("value", "unit", "printed"),
    [
        (0.027, "%", "+2.7 pp"),
        (-0.208, "%", "−20.8 pp"),
        (0.0, "%", "±0.0 pp"),
        (4.88, "s", "+4.88 s"),
        (0.0001, "", "±0"),
        (None, "s", "–"),
    ],
)
def test_a_difference_has_its_sign(value: float | None, unit: str, printed: str) -> None:
    assert readable.signed(value, unit) == printed


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (None, "–"),
        (0.34, "340 ms"),
        (2.44, "2.4 s"),
        (59.6, "60 s"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (3900, "1 h 5 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_a_duration_is_in_the_unit_that_fits(value: float | None, printed: str) -> None:
    assert readable.seconds(value) == printed


@pytest.mark.parametrize(
    ("passed_seconds", "printed"),
    [(2, "just now"), (42, "42 s ago"), (150, "2 min ago"), (7300, "2 h ago"), (86400 * 3, "3 days ago"), (-30, "in 30 s")],
)
def test_a_time_is_relative(passed_seconds: int, printed: str) -> None:
    assert readable.ago(NOW - timedelta(seconds=passed_seconds), NOW) == printed


def test_a_missing_time_is_a_dash() -> None:
    assert (readable.ago(None, NOW), readable.exact(None)) == ("–", "–")


@pytest.mark.parametrize(
    ("identifier", "shown"),
    [("4be1c0aa93d94a6e", "4be1c0aa"), ("5c1f0e9b7a42", "5c1f0e9b7a42"), ("20260302-143000-4bb3", "20260302-143000-4bb3")],
)
def test_a_long_id_is_short_and_a_readable_one_whole(identifier: str, shown: str) -> None:
    assert readable.short(identifier) == shown


def test_the_command_line_leaves_defaults_out_and_quotes_what_a_shell_would_split() -> None:
    values = {"model-name": "ops-qa", "adapter-source": "alias:candidate", "note": "it's new"}
    defaults = {"model-name": "mistral", "adapter-source": "alias:candidate", "note": ""}
    assert tables.command("deployment", values, defaults) == r"gatewright launch deployment -p model-name=ops-qa -p note='it'\''s new'"


def test_an_estimate_is_the_longest_way_through_the_steps() -> None:
    steps = (
        wire.StepSpec(name="a", help=""),
        wire.StepSpec(name="b", help="", needs=("a",)),
        wire.StepSpec(name="c", help="", needs=("a",)),
    )
    workflow = wire.Workflow(
        name="w", title="W", purpose="", ends_in="", parameters=(), steps=steps, typical_seconds={"a": 1, "b": 5, "c": 2}
    )
    assert tables.estimate(workflow) == 6


def test_an_estimate_with_an_unknown_step_is_unknown() -> None:
    workflow = wire.Workflow(name="w", title="", purpose="", ends_in="", parameters=(), steps=(wire.StepSpec(name="a", help=""),))
    assert tables.estimate(workflow) is None


@pytest.mark.parametrize(
    ("live", "candidate", "is_worse"),
    [("A", "C", True), ("A", "B", True), ("B", "A", False), ("A", "A", False), ("", "C", False), ("A", "", False)],
)
def test_a_regression_is_a_lower_grade_and_an_unscored_answer_is_none(live: str, candidate: str, is_worse: bool) -> None:
    assert tables.is_regression(live, candidate) is is_worse


@pytest.mark.parametrize(
    ("level", "least", "is_shown"),
    [
        ("INFO", "WARNING", False),
        ("ERROR", "WARNING", True),
        ("warn", "WARNING", True),
        ("progress", "INFO", True),
        ("CRITICAL", "ERROR", True),
    ],
)
def test_a_level_filter_keeps_its_level_and_above(level: str, least: str, is_shown: bool) -> None:
    assert tables.level_at_least(level, least) is is_shown


def test_word_differences_ignore_case_and_punctuation() -> None:
    assert tables.word_differences("Port 22, over TCP.", "the port is 22") == [
        ("Port", False),
        ("22,", False),
        ("over", True),
        ("TCP.", True),
    ]


def test_the_timeline_as_csv_reads_back_and_runs_no_formula() -> None:
    promotion = FakeClient().promotions(MODEL)[0].model_copy(update={"reason": "=HYPERLINK(1)", "actor": "a,b"})
    (row,) = csv.DictReader(io.StringIO(tables.promotions_csv([promotion])))
    assert (row["actor"], row["reason"], row["version"]) == ("a,b", "'=HYPERLINK(1)", str(promotion.version))


def test_versions_stand_newest_first_and_protected_aliases_are_locked() -> None:
    rows = tables.version_rows(list(reversed(FakeClient().versions(MODEL))), NOW)
    assert [row["Version"] for row in rows] == ["v6", "v5", "v4", "v3", "v2", "v1"]
    assert rows[1]["Aliases"] == ["🔒 live"]


def test_two_versions_differ_where_their_parameters_do() -> None:
    client = FakeClient()
    rows = {name: differs for name, _, _, differs in tables.version_differences(client.version(MODEL, 5), client.version(MODEL, 6))}
    assert rows["lora_config"]
    assert not rows["seed"]


def test_grades_are_counted_by_role() -> None:
    evaluation = FakeClient().evaluation(MODEL, 6)
    counts = tables.grade_counts(evaluation.rows)
    assert {role: sum(grades.values()) for role, grades in counts.items()} == {"candidate": 40, "live": 40}


def test_a_tally_names_what_did_not_pass() -> None:
    verdict = FakeClient().evaluation(MODEL, 6).verdict
    failed = verdict.model_copy(update={"checks": (verdict.checks[0].model_copy(update={"outcome": "fail"}), *verdict.checks[1:])})
    assert tables.tally(verdict) == "all 3 checks passed."
    assert tables.tally(failed) == "1 of 3 checks did not pass (A-rate)."


def test_progress_counts_finished_steps_and_the_running_ones_share() -> None:
    run = FakeClient().run("5c1f0e9b7a42")
    assert 1 / 5 < tables.fraction(run) < 3 / 5
