"""The review page: blind before the vote, the next row at once, votes changed and taken back, what people said, files to take out."""

from __future__ import annotations

import pytest
from console_fakes import MODEL, FakeClient
from streamlit.testing.v1 import AppTest
from test_console_pages import _open, _seen

from console import reads
from controlplane import wire
from controlplane.core import errors, preferences

DIFFERENT = 7


def review(actor: str = "ada", **query: str) -> AppTest:
    app = _open("review", **query)
    return app.text_input(key="app_actor").set_value(actor).run()


def press(app: AppTest, key: str) -> AppTest:
    return app.button(key=f"review_{key}").click().run()


def votes(fake: FakeClient) -> list[wire.Vote]:
    """Oldest first."""
    return [record.vote for record in reversed(fake.votes(MODEL))]


def shown_row(app: AppTest) -> str:
    return next(field.key for field in app.text_input if field.key.startswith("review_comment_")).removeprefix("review_comment_")


def vote_on_all(fake: FakeClient, actor: str, choice: str) -> None:
    pairs: dict[str, set[str]] = {}
    for row in fake.rows:
        pairs.setdefault(row.id, set()).add(row.answer)
    for row_id, answers in pairs.items():
        if len(answers) > 1:
            fake.speaking_for(actor).vote(wire.Vote(model=MODEL, choice=choice, candidate_version=6, row_id=row_id))


def test_nothing_on_the_page_depends_on_whose_answer_it_is_but_the_answer(fake: FakeClient) -> None:
    before = _seen(review(row="q-003"))
    fake.rows = tuple(row.model_copy(update={"grade": "B", "reason": f"{row.role}!", "latency_seconds": 9.9}) for row in fake.rows)
    reads.forget()
    app = review(row="q-003")
    assert _seen(app) == before
    sides = [element.proto.body for element in app.get("html") if "gw-side" in element.proto.body and "<style>" not in element.proto.body]
    assert len(sides) == 2
    assert not any(word in side for side in sides for word in ("candidate", "live", "gw-good", "gw-ink", "9.9"))


@pytest.mark.parametrize(("key", "place"), [("left", 0), ("right", 1)])
def test_a_vote_for_a_side_is_a_vote_for_who_stood_there(fake: FakeClient, key: str, place: int) -> None:
    app = review()
    row = shown_row(app)
    left = preferences.left_role(MODEL, 6, row, "ada")
    press(app, key)
    (vote,) = votes(fake)
    assert vote.choice == (left, {"candidate": "live", "live": "candidate"}[left])[place]
    assert (vote.row_id, vote.left, vote.candidate_version, vote.evaluation_run) == (row, left, 6, fake.evaluation_run)
    sides = [element.proto.body for element in review(row=row).get("html") if 'class="gw-side ' in element.proto.body]
    answers = {answer.role: answer.answer for answer in fake.rows if answer.id == row}
    assert all(word in sides[0] for word in answers[left].split())


@pytest.mark.parametrize("choice", ["tie", "both-bad"])
def test_the_next_row_comes_at_once_and_progress_grows(fake: FakeClient, choice: str) -> None:
    app = review()
    first = shown_row(app)
    app.text_input(key=f"review_comment_{first}").set_value("both name the port")
    press(app, choice)
    assert shown_row(app) != first
    assert "1 of 7 reviewed by you" in _seen(app)
    (vote,) = votes(fake)
    assert (vote.choice, vote.comment) == (choice, "both name the port")


def test_votes_have_keys(fake: FakeClient) -> None:
    shortcuts = {button.key: button.proto.shortcut for button in review().button if button.key and button.key.startswith("review_")}
    assert {key: shortcuts[f"review_{key}"] for key in ("left", "right", "tie", "both-bad", "skip", "back", "undo")} == {
        "left": "1",
        "right": "2",
        "tie": "3",
        "both-bad": "4",
        "skip": "s",
        "back": "b",
        "undo": "u",
    }


def test_a_reviewer_who_comes_back_goes_on_where_she_was(fake: FakeClient) -> None:
    app = review()
    for _ in range(3):
        press(app, "tie")
    waiting = shown_row(app)
    again = review()
    assert shown_row(again) == waiting
    assert "3 of 7 reviewed by you" in _seen(again)
    assert "0 of 7 reviewed by you" in _seen(review("bob"))


def test_a_skipped_row_comes_round_again(fake: FakeClient) -> None:
    app = review()
    skipped = shown_row(app)
    press(app, "skip")
    assert shown_row(app) != skipped
    for _ in range(DIFFERENT - 1):
        press(app, "tie")
    assert shown_row(app) == skipped


def test_back_shows_the_row_before_with_its_vote_to_change(fake: FakeClient) -> None:
    app = review()
    first = shown_row(app)
    press(app, "left")
    press(app, "back")
    assert shown_row(app) == first
    assert "You said: A is better." in _seen(app)
    press(app, "tie")
    assert [vote.choice for vote in votes(fake)][1:] == ["tie"]
    assert fake.reviewer.review(MODEL, 6).preference.tie == 1


def test_the_last_vote_is_taken_back(fake: FakeClient) -> None:
    app = review()
    assert app.button(key="review_undo").disabled
    first = shown_row(app)
    press(app, "left")
    press(app, "undo")
    assert shown_row(app) == first
    assert "0 of 7 reviewed by you" in _seen(app)
    assert "You said" not in _seen(app)
    assert fake.reviewer.review(MODEL, 6).preference.rows == 0
    assert app.button(key="review_undo").disabled


def test_a_reviewer_without_a_name_is_asked_for_one(fake: FakeClient) -> None:
    assert "give your own name" in _seen(_open("review"))
    assert "give your own name" not in _seen(review("ada"))


def test_equal_answers_are_left_out_unless_asked_for(fake: FakeClient) -> None:
    app = review()
    app.toggle(key="review_only_different").set_value(False).run()
    assert "0 of 40 reviewed by you" in _seen(app)


def test_the_result_is_hidden_until_asked_for(fake: FakeClient) -> None:
    app = press(review(), "left")
    assert "net preference" not in _seen(app)
    app.toggle(key="review_result").set_value(True).run()
    assert "net preference" in _seen(app)


def test_the_end_shows_what_people_said(fake: FakeClient) -> None:
    vote_on_all(fake, "bob", "both-bad")
    app = review()
    for _ in range(DIFFERENT):
        press(app, "both-bad")
    seen = _seen(app)
    for piece in ("You have reviewed all 7 rows of ops-qa v6.", "2 reviewers (ada, bob)", "100% of pairs agree on 7 rows"):
        assert piece in seen
    files = {button.label for button in app.get("download_button")}
    assert {"Votes (CSV)", "Votes (JSONL)"} < files
    assert any(label.startswith("Golden rows (") for label in files)
    press(app, "undo")
    assert "6 of 7 reviewed by you" in _seen(app)


def test_answers_evaluated_again_meanwhile_are_said_so_and_nothing_is_kept(fake: FakeClient) -> None:
    app = review()
    row = shown_row(app)
    fake.evaluation_run = "anew"
    press(app, "left")
    assert "was evaluated again since" in _seen(app)
    assert shown_row(app) == row
    assert votes(fake) == []
    press(app, "anew")
    assert "was evaluated again" not in _seen(app)
    press(app, "left")
    assert [vote.evaluation_run for vote in votes(fake)] == ["anew"]


def test_a_first_deploy_has_nothing_to_compare(fake: FakeClient) -> None:
    fake.rows = tuple(row for row in fake.rows if row.role == "candidate")
    assert "only one side answered" in _seen(review())


def test_votes_on_rows_are_not_the_compare_pages(fake: FakeClient) -> None:
    press(review(), "left")
    assert "No votes yet." in _seen(_open("compare"))


def test_a_person_states_the_right_grade_and_takes_it_back(fake: FakeClient) -> None:
    app = _open("evaluation", row="q-002")
    key = f"evaluation_grade_{fake.evaluation_run}_q-002_candidate"
    app.segmented_control(key=key).set_value("B").run()
    assert [one.correction.grade for one in fake.grades(MODEL, 6)] == ["B"]
    assert [(row.id, row.grade) for row in fake.golden_rows(MODEL, 6)] == [("q-002-v6-candidate", "B")]
    assert _open("evaluation", row="q-002").segmented_control(key=key).value == "B"
    app.segmented_control(key=key).set_value(None).run()
    assert fake.grades(MODEL, 6) == []


def test_what_others_grade_is_said_once_one_has_graded(fake: FakeClient) -> None:
    fake.speaking_for("bob").grade(MODEL, 6, wire.GradeCorrection(row_id="q-002", role="live", grade="C"))
    app = _open("evaluation", row="q-002")
    assert "bob says" not in _seen(app)
    app.segmented_control(key=f"evaluation_grade_{fake.evaluation_run}_q-002_live").set_value("A").run()
    assert "bob says C" in _seen(app)


def test_a_grade_that_could_not_be_kept_is_said_so(fake: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> wire.GradeRecord:
        raise errors.Unreachable("The Gatewright API", "http://127.0.0.1:8600", "connection refused")

    app = _open("evaluation", row="q-002")
    monkeypatch.setattr(fake, "grade", refuse)
    app.segmented_control(key=f"evaluation_grade_{fake.evaluation_run}_q-002_live").set_value("A").run()
    assert "connection refused" in _seen(app)


def test_the_evaluation_leads_to_the_review_and_the_checklist_too(fake: FakeClient) -> None:
    assert any(link.proto.label == "Review the answers blind" for link in _open("evaluation").get("page_link"))
    fake.people = wire.Evidence(gate="people", title="People: blind review", outcome="inconclusive", reason="1 reviewer, 1 row.")
    seen = _seen(_open("promotion"))
    assert "People: blind review" in seen
    assert "review?model=ops-qa" in seen
    assert "with 3 of 3 gates passed" in seen, "people inform, they are no gate"
