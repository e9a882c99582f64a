"""The Evaluation page on evaluations made by the real rules: open, passed, ended early, by a judge nobody trusts, of an older version."""

from __future__ import annotations

from pathlib import Path

import console_evaluations
import pytest
from console_fakes import MODEL, FakeClient
from streamlit.testing.v1 import AppTest

import console
from console import charts, readable, surety, tables, theme
from controlplane import wire

APP = Path(console.__file__).parent / "app.py"
EVIL = "<img src=x onerror=alert(1)>"


def _open(**query: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    app.switch_page("app_pages/evaluation.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def _seen(app: AppTest) -> str:
    words = [str(element.value) for kind in (app.caption, app.subheader) for element in kind]
    return "\n".join([*(body for element in app.get("html") if "<style>" not in (body := element.proto.body)), *words])


def _charts(app: AppTest) -> int:
    return len(app.get("plotly_chart"))


def test_an_open_verdict_says_what_would_decide_it(fake: FakeClient) -> None:
    fake.newer = console_evaluations.evaluation()
    seen = _seen(_open())
    for piece in (
        "ops-qa v6 cannot be judged yet: 3 of 4 checks did not pass (A-rate, refusal rate).",
        "What it would take to be sure",
        "A-rate difference: <strong>about 52 more rows would decide, were the rates to stay.</strong>",
        "kappa <strong>0.88</strong> (95% interval 0.82 … 0.94), at least 0.60 is required",
        "grades 3 of 18 number-words answers right",
        "Asked about 19 rows in both orders, it says the same on <strong>95%</strong>",
        "This one decides.",
        "s3://gatewright/datasets/ops-qa/v2/eval.jsonl",
        "llm judge (small) at http://judge:8000, temperature 0",
        "77ac01be12f94d1b" * 4,
    ):
        assert piece in seen


def test_a_passed_verdict_needs_nothing_more(fake: FakeClient) -> None:
    fake.newer = console_evaluations.evaluation(600, 0.97)
    app = _open()
    assert "ops-qa v6 is good enough: all 4 checks passed. Measured on 600 questions, decided by grades with confidence" in _seen(app)
    assert "What it would take to be sure" not in _seen(app)
    assert _charts(app) == 3


def test_grades_that_do_not_count_are_the_first_thing_said(fake: FakeClient) -> None:
    fake.newer = console_evaluations.evaluation(kappa=0.4)
    seen = _seen(_open())
    assert "cannot be judged yet: The llm judge (small) agrees with the trusted grades to a kappa of 0.40" in seen
    assert "not trusted" in seen
    assert "the Judge page shows each answer it misjudged" in seen
    assert "Were its grades to count" in seen


def test_a_judge_held_against_too_few_grades_needs_more_of_them() -> None:
    evaluation = console_evaluations.evaluation()
    assert evaluation.trust is not None
    few = evaluation.trust.model_copy(update={"refusal": "Held against 12 trusted grades only."})
    words = surety.what_it_takes(evaluation.model_copy(update={"trust": few}))
    assert "Held against 12 trusted grades only." in words
    assert "Add trusted grades" in words


def test_judging_that_ended_early_says_how_far_it_came(fake: FakeClient) -> None:
    fake.newer = console_evaluations.evaluation(600, 0.97, looks=3)
    app = _open()
    assert "Measured on 600 questions, 200 of them judged before the verdict stood" in _seen(app)
    assert set(app.dataframe[0].value["Candidate's grade"]) >= {"A", "not judged"}


def test_several_judges_show_their_letters_and_agreement(fake: FakeClient) -> None:
    fake.newer = console_evaluations.evaluation(judges=3)
    seen = _seen(_open())
    assert "3 judges, majority: <strong>94%</strong> of pairs of them give the same grade, Fleiss' kappa 0.81" in seen
    assert "judges said A A" in seen


def test_rows_on_which_the_judge_disagreed_with_itself_alone_can_be_shown(fake: FakeClient) -> None:
    fake.newer = console_evaluations.evaluation(steady=0.2)
    app = _open(show="judge disagreed with itself")
    assert set(app.dataframe[0].value["Better"]) == {"tie (torn)"}
    assert "tie: the judge changed its mind" in _seen(app)
    assert "on 15 of 19 rows: read those yourself" in _seen(app)


def test_a_filter_is_written_into_the_address(fake: FakeClient) -> None:
    app = _open()
    app.segmented_control(key="evaluation_filter").set_value("regressions").run()
    assert app.query_params["show"] == "regressions"


def test_a_row_that_live_won_is_a_regression(fake: FakeClient) -> None:
    fake.newer = console_evaluations.evaluation()
    lost = {row.id for row in fake.newer.comparisons if row.winner == "live"}
    worse = {pair["id"] for pair in tables.paired(fake.newer.rows, fake.newer.comparisons) if pair["is_regression"]}
    assert lost
    assert lost <= worse


def test_an_evaluation_of_an_older_version_opens_with_what_it_has(fake: FakeClient) -> None:
    app = _open()
    seen = _seen(app)
    assert "Not measured in this evaluation" in seen
    assert "The answers were not compared." in seen
    assert "By other readings and rules" not in seen
    assert _charts(app) == 2
    assert set(app.dataframe[0].value["Better"]) == {readable.NOTHING}


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK])
def test_preferences_add_up_in_the_colours_of_the_sides(colours: theme.Palette) -> None:
    found = console_evaluations.evaluation().pairwise
    assert found is not None
    figure = charts.preferences(found, colours)
    assert sum(trace.x[0] for trace in figure.data) == pytest.approx(100)
    inks = {trace.name: trace.marker.color for trace in figure.data}
    assert (inks["candidate"], inks["live"]) == (colours.candidate, colours.live)


def test_the_net_preference_is_a_group_of_its_own_beside_the_grades() -> None:
    figure = charts.differences(console_evaluations.evaluation().differences, theme.LIGHT)
    assert figure.data[-2].y[-1] == "net preference (≥ -2.0)"
    assert figure.data[-1].name == "does not decide"
    assert 2.5 in [shape.y0 for shape in figure.layout.shapes]
    assert figure.layout.xaxis.range[0] < -14.6
    assert figure.layout.xaxis.range[1] > 24.6


def test_what_a_judge_says_is_shown_as_text() -> None:
    evaluation = console_evaluations.evaluation(kappa=0.4)
    assert evaluation.trust is not None
    assert evaluation.dataset is not None
    trust = evaluation.trust.model_copy(update={"judge": EVIL, "refusal": EVIL, "warnings": (EVIL,)})
    other = wire.OtherVerdict(reading=EVIL, rules=EVIL, outcome=EVIL, reason=EVIL)
    evil = evaluation.model_copy(
        update={
            "judge": EVIL,
            "judge_identity": EVIL,
            "judge_prompt_digest": EVIL,
            "trust": trust,
            "others": (other,),
            "dataset": evaluation.dataset.model_copy(update={"name": EVIL, "source": EVIL, "digest": EVIL, "columns": {EVIL: EVIL}}),
            "parameters": {"reading": EVIL},
            "verdict": evaluation.verdict.model_copy(update={"reason": EVIL}),
        }
    )
    row = evaluation.comparisons[0].model_copy(update={"reason": EVIL, "winner": EVIL, "candidate_first": EVIL, "live_first": EVIL})
    records = "".join(value for _, value in surety.records(evil))
    untrusted = evil.model_copy(update={"trust": None})
    whole = [
        surety.what_it_takes(evil),
        surety.what_it_takes(untrusted),
        surety.judge_trust(evil),
        surety.by_rules(evil),
        surety.orders(row),
    ]
    assert "<img" not in "".join([*whole, records])


def test_a_scale_is_read_aloud() -> None:
    bar = surety.scale(0.4, (0.34, 0.46), 0.6, "bad")
    assert 'aria-label="0.40 between 0.34 and 0.46; 0.60 is required"' in bar
    assert "left:60.0%" in bar


@pytest.mark.parametrize(
    ("excess", "words"),
    [(None, readable.NOTHING), (4.12, "4.1 characters longer"), (-3.0, "3.0 characters shorter"), (0.0, "0.0 characters longer")],
)
def test_lengths_in_words(excess: float | None, words: str) -> None:
    assert readable.characters(excess) == words


def test_a_reason_is_taken_apart_between_sentences_only() -> None:
    reason = "A lies between -8.1% and +4.2% (limit -2.0%); about 3 more rows would decide. No row tells B."
    assert readable.sentences(reason) == [
        "A lies between -8.1% and +4.2% (limit -2.0%); about 3 more rows would decide.",
        "No row tells B.",
    ]


def test_the_version_asked_for_is_the_one_shown(fake: FakeClient) -> None:
    _open(version="5")
    assert ("evaluation", (MODEL, 5)) in fake.calls
