"""Every page as Streamlit runs it, on a client that answers from memory: answers in words, verbs, empty and faulty states."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from console_fakes import MODEL, FakeClient
from streamlit.testing.v1 import AppTest

import console
from console import reads
from controlplane import wire
from controlplane.core import errors

PAGES = (
    "overview",
    "registry",
    "launch",
    "runs",
    "compare",
    "evaluation",
    "review",
    "performance",
    "promotion",
    "datasets",
    "judge",
    "health",
)
APP = Path(console.__file__).parent / "app.py"


def _open(page: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    app.switch_page(f"app_pages/{page}.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def _seen(app: AppTest) -> str:
    """Everything the page shows but the styles."""
    kinds = (app.markdown, app.caption, app.subheader, app.warning, app.success, app.error, app.info)
    words = [str(element.value) for kind in kinds for element in kind]
    return "\n".join([*(body for element in app.get("html") if "<style>" not in (body := element.proto.body)), *words])


@pytest.mark.parametrize(
    ("page", "answer"),
    [
        ("overview", "ops-qa v5 is live, and v6 waits for your decision."),
        ("registry", "ops-qa has 6 versions: v5 is live, v4 is what a rollback brings back; the newest is v6."),
        ("launch", "It usually takes 2 min 6 s here"),
        ("runs", "1 run under way: evaluation"),
        ("compare", "No votes yet."),
        ("evaluation", "ops-qa v6 is good enough: all 3 checks passed. Measured on 40 questions"),
        ("review", "7 rows of ops-qa v6 wait for you. Which side is whose stays hidden."),
        ("performance", "ops-qa v6 is fast enough: all 6 checks passed. Measured with 40 requests beside v5."),
        ("promotion", "v6 goes live with 3 of 3 gates passed. v5 becomes previous"),
        ("datasets", "2 dataset versions; the newest, ops-qa-v2, has 744 rows"),
        (
            "judge",
            "Yes: the llm judge (small) agrees with 133 of 144 trusted grades, kappa 0.91 (95% interval 0.85 to 0.97); at least 0.60",
        ),
        ("health", "No: Prometheus does not answer"),
    ],
)
def test_a_page_answers_its_question_in_words(fake: FakeClient, page: str, answer: str) -> None:
    app = _open(page)
    assert not app.exception
    assert answer in _seen(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_fault_says_what_to_do_and_carries_the_request_id(fake: FakeClient, page: str) -> None:
    fault = errors.OutsideError("MLflow", "http://127.0.0.1:5500", "500", hint="Restart MLflow.")
    fault.request_id = "req-7f3a1c"  # type: ignore[attr-defined]
    fake.fault = fault
    app = _open(page)
    assert not app.exception
    seen = _seen(app)
    for piece in ("MLflow at http://127.0.0.1:5500 refused", "Restart MLflow.", "req-7f3a1c"):
        assert piece in seen
    assert any(button.label == "Try again" for button in app.button)


@pytest.mark.parametrize(
    ("page", "advice"),
    [
        ("overview", "Start with a training run"),
        ("registry", "Launch → training"),
        ("runs", "Launch a workflow"),
        ("compare", "Launch → training"),
        ("evaluation", "Launch → training"),
        ("review", "Launch → training"),
        ("performance", "Launch → training"),
        ("promotion", "Launch → training"),
        ("datasets", "Upload the train, validation and eval splits"),
        ("judge", "The command below shows what it mistakes"),
    ],
)
def test_an_empty_page_says_what_to_do_next(fake: FakeClient, page: str, advice: str) -> None:
    fake.is_empty = True
    app = _open(page)
    assert not app.exception
    assert advice in _seen(app)


def test_the_last_answer_stands_marked_stale_while_the_api_is_silent(fake: FakeClient) -> None:
    app = _open("registry")
    fake.fault = errors.Unreachable("The Gatewright API", "http://127.0.0.1:8700", "connection refused")
    reads.forget()
    app.run()
    assert not app.exception
    assert "ops-qa has 6 versions" in _seen(app)
    assert any("does not answer" in warning.value for warning in app.warning)


def test_a_link_opens_the_version_it_names(fake: FakeClient) -> None:
    app = _open("registry", model=MODEL, version="3")
    assert app.selectbox(key="registry_version").value == "3"
    assert ("version", (MODEL, 3)) in fake.calls


def test_a_choice_is_written_into_the_address(fake: FakeClient) -> None:
    app = _open("registry")
    app.selectbox(key="registry_version").set_value("2").run()
    assert app.query_params["version"] == "2"
    assert app.selectbox(key="registry_version").value == "2"


def test_a_version_is_archived_with_a_reason_and_brought_back(fake: FakeClient) -> None:
    app = _open("registry", version="3")
    assert app.button(key="registry_aside").disabled
    app.text_input(key="registry_aside_reason").set_value("Superseded").run()
    app.button(key="registry_aside").click().run()
    assert ("archive", (MODEL, 3, "Superseded")) in fake.calls
    assert app.toggle(key="registry_archived").label == "Show 1 archived version"
    app.toggle(key="registry_archived").set_value(True).run()
    app.selectbox(key="registry_version").set_value("3").run()
    app.text_input(key="registry_aside_reason").set_value("Needed after all").run()
    app.button(key="registry_aside").click().run()
    assert ("restore", (MODEL, 3, "Needed after all")) in fake.calls


def test_live_and_previous_offer_no_archiving(fake: FakeClient) -> None:
    for number in (fake.live, fake.before):
        assert not [button for button in _open("registry", version=str(number)).button if button.key == "registry_aside"]


def test_two_versions_stand_side_by_side(fake: FakeClient) -> None:
    app = _open("registry", version="6", against="5")
    assert "v6 beside v5" in _seen(app)
    assert "lora_config" in _seen(app)


def test_a_judge_below_the_required_kappa_is_not_trusted(fake: FakeClient) -> None:
    app = _open("judge", judge="reference judge")
    assert not app.exception
    assert "No: The reference judge agrees to a kappa of 0.41; at least 0.60 is required." in _seen(app)


def test_a_trusted_judge_with_a_blind_spot_is_trusted_with_a_warning(fake: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    doubted = fake.calibrations()[1].model_copy(update={"refusal": "", "kappa": 0.8})
    monkeypatch.setattr(fake, "calibrations", lambda: [doubted])
    app = _open("judge")
    assert "Yes, with 1 warning: the reference judge agrees with 133 of 144" in _seen(app)
    assert [warning.value for warning in app.warning] == ["Of adversarial answers it grades 3 of 18 right."]


def test_a_judge_s_disagreements_show_what_was_said_as_text(fake: FakeClient) -> None:
    seen = _seen(_open("judge"))
    assert "&lt;b&gt;That is my answer.&lt;/b&gt;" in seen
    assert "The judge&#x27;s reply states no grade." in seen
    assert "2 of 144" in seen


@pytest.mark.parametrize(("page", "gate"), [("evaluation", "Gate 1"), ("review", "Gate 1"), ("performance", "Gate 2")])
def test_a_gate_that_never_ran_is_said_so(fake: FakeClient, page: str, gate: str) -> None:
    app = _open(page, version="1")
    assert not app.exception
    assert f"{gate} was never run for ops-qa v1" in _seen(app)


def test_regressions_alone_can_be_shown(fake: FakeClient) -> None:
    app = _open("evaluation")
    app.segmented_control(key="evaluation_filter").set_value("regressions").run()
    frame = app.dataframe[0].value
    assert len(frame) > 0
    assert set(frame[""]) == {"↓ worse"}


def test_the_next_row_is_a_press_away(fake: FakeClient) -> None:
    app = _open("evaluation")
    app.button(key="evaluation_next").click().run()
    assert app.query_params["row"] == "q-001"
    assert "row 2 of 40" in _seen(app)


def test_launching_sends_the_form_and_links_to_the_run(fake: FakeClient) -> None:
    app = _open("launch", workflow="training")
    app.text_input(key="launch_training_num-epochs").set_value("2").run()
    assert "-p num-epochs=2" in app.code[0].value
    app.button(key="launch_start").click().run()
    verb, (workflow, parameters) = next(call for call in fake.calls if call[0] == "launch")
    assert (verb, workflow) == ("launch", "training")
    assert isinstance(parameters, dict)
    assert parameters["num-epochs"] == "2"
    assert "Run 5c1f0e9b7a42 has started." in _seen(app)


def test_a_refused_launch_keeps_the_form_and_says_why(fake: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(workflow: str, parameters: dict[str, str]) -> wire.Run:
        raise errors.InvalidInput("num-epochs='x' is not a number.", hint="Passes over the training data.")

    monkeypatch.setattr(fake, "launch", refuse)
    app = _open("launch")
    app.text_input(key="launch_training_num-epochs").set_value("x").run()
    app.button(key="launch_start").click().run()
    assert "is not a number" in _seen(app)
    assert app.text_input(key="launch_training_num-epochs").value == "x"


def test_a_run_shows_its_steps_progress_and_log(fake: FakeClient) -> None:
    seen = _seen(_open("runs", run="5c1f0e9b7a42"))
    for piece in ("inference-candidate", "about 47 s left", "64 of 112 questions answered", "answered 503"):
        assert piece in seen


def test_the_log_is_filtered_by_level_and_words(fake: FakeClient) -> None:
    app = _open("runs", run="91ab77d0e3c5")
    app.selectbox(key="runs_level").set_value("WARNING").run()
    assert "answered 503" in _seen(app)
    assert "Read 112 rows" not in _seen(app)
    app.text_input(key="runs_search").set_value("nowhere to be found").run()
    assert "No line matches." in _seen(app)


def test_the_log_asks_for_new_lines_only_and_keeps_those_it_has(fake: FakeClient) -> None:
    app = _open("runs", run="5c1f0e9b7a42")
    app.run()
    asked = [args for verb, args in fake.calls if verb == "logs"]
    assert asked[0] == ("5c1f0e9b7a42", "")
    assert asked[-1] == ("5c1f0e9b7a42", "inference-live:35")
    assert "Read 112 rows" in _seen(app)


@pytest.mark.parametrize(
    ("run", "can_cancel", "can_retry"), [("5c1f0e9b7a42", True, False), ("91ab77d0e3c5", False, False), ("07e5b1c9f8d3", False, True)]
)
def test_a_run_offers_what_can_be_done_with_it(fake: FakeClient, run: str, can_cancel: bool, can_retry: bool) -> None:
    app = _open("runs", run=run)
    assert app.button(key="runs_cancel").disabled is not can_cancel
    assert app.button(key="runs_retry").disabled is not can_retry


def test_cancelling_asks_the_api(fake: FakeClient) -> None:
    app = _open("runs", run="5c1f0e9b7a42")
    app.button(key="runs_cancel").click().run()
    assert ("cancel", ("5c1f0e9b7a42",)) in fake.calls


def test_an_unknown_run_is_a_clear_answer(fake: FakeClient) -> None:
    assert "There is no run &#x27;nothing&#x27;" in _seen(_open("runs", run="nothing"))


def test_a_step_that_is_tried_again_says_when(fake: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FakeClient.run

    def with_a_held_step(client: FakeClient, run_id: str) -> wire.Run:
        run = whole(client, run_id)
        held = run.steps[-1].model_copy(update={"retry_at": client.now + timedelta(seconds=8)})
        return run.model_copy(update={"steps": (*run.steps[:-1], held)})

    monkeypatch.setattr(FakeClient, "run", with_a_held_step)
    seen = _seen(_open("runs", run="5c1f0e9b7a42"))
    assert "compare-decision is tried again in 8 s" in seen


def test_a_promotion_waits_for_a_reason_then_says_what_it_did(fake: FakeClient) -> None:
    app = _open("promotion")
    assert app.button(key="promotion_promote").label == "Make v6 live, v5 previous"
    assert app.button(key="promotion_promote").disabled
    app.text_input(key="promotion_reason").set_value("Better and as fast").run()
    app.button(key="promotion_promote").click().run()
    assert ("promote", (MODEL, "perf-passed", "Better and as fast", False, 5)) in fake.calls
    assert "Promoted: v6 is live." in _seen(app)
    assert "6-069f3c51d7e0" in _seen(app)


def test_a_refused_promotion_is_a_disabled_button_with_the_reason(fake: FakeClient) -> None:
    fake.refusal = "The promotion policy asks for perf-passed, not staged."
    app = _open("promotion", source="staged")
    assert app.text_input(key="promotion_reason").disabled
    assert app.button(key="promotion_promote").disabled
    assert fake.refusal in _seen(app)


def test_a_failed_promotion_says_so_and_claims_nothing(fake: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, source_alias: str, reason: str, *, override: bool, expected_live: int) -> wire.Promotion:
        raise errors.Conflict("A promotion of ops-qa by grace is running.", hint="Wait for it to end.")

    monkeypatch.setattr(fake, "promote", fail)
    app = _open("promotion")
    app.text_input(key="promotion_reason").set_value("now").run()
    app.button(key="promotion_promote").click().run()
    assert "Wait for it to end." in _seen(app)
    assert "is live." not in _seen(app).replace("Nothing is live", "")


def test_the_policy_is_overridden_with_a_reason_apart_from_the_ordinary_press(fake: FakeClient) -> None:
    fake.refusal, fake.override = "The promotion policy asks for perf-passed.", "The promotion policy asks for perf-passed, not staged."
    app = _open("promotion", source="staged")
    assert app.button(key="promotion_promote").disabled
    assert app.button(key="promotion_override_confirm").disabled
    app.text_input(key="promotion_override_reason").set_value("Hotfix").run()
    app.button(key="promotion_override_confirm").click().run()
    assert ("promote", (MODEL, "staged", "Hotfix", True, 5)) in fake.calls


@pytest.mark.parametrize("verb", ["adopt", "revert"])
def test_an_alias_moved_elsewhere_is_settled_by_a_person(fake: FakeClient, verb: str) -> None:
    fake.drifts = (wire.AliasDrift(model=MODEL, alias="live", decided=5, found=6),)
    app = _open("promotion")
    assert "live was v5 and is now v6" in _seen(app)
    assert app.button(key=f"promotion_{verb}").disabled
    app.text_input(key="promotion_drift_reason").set_value("mine").run()
    app.button(key=f"promotion_{verb}").click().run()
    assert (verb, (MODEL, "mine")) in fake.calls
    assert "Moved outside Gatewright" not in _seen(app)


def test_the_timeline_is_filtered_by_kind(fake: FakeClient) -> None:
    app = _open("promotion", kind="rollback")
    assert "v4 → <strong>v" not in _seen(app)
    assert "None of this kind." in _seen(_open("promotion", kind="override"))


def test_rolling_back_is_confirmed_with_a_reason(fake: FakeClient) -> None:
    app = _open("promotion")
    assert app.button(key="promotion_rollback_confirm").disabled
    app.text_input(key="promotion_rollback_reason").set_value("Too terse").run()
    app.button(key="promotion_rollback_confirm").click().run()
    assert ("rollback", (MODEL, "Too terse", 5)) in fake.calls
    assert "Rolled back: v4 is live." in _seen(app)


def _asked(blind: bool = False) -> AppTest:
    app = _open("compare", question="Which port does ssh use?", context="ssh 22/tcp")
    if blind:
        app.toggle(key="compare_blind").set_value(True).run()
    return app.button(key="compare_ask").click().run()


def test_both_sides_answer_with_their_measures(fake: FakeClient) -> None:
    seen = _seen(_asked())
    for piece in ("candidate v6", "live v5", "first token 210 ms", "7 tokens", "8.7 tokens/s"):
        assert piece in seen


def test_blind_hides_the_sides_until_the_vote(fake: FakeClient) -> None:
    app = _asked(blind=True)
    assert "candidate v6" not in _seen(app)
    assert "Answer 1" in _seen(app)
    app.button(key="compare_vote_left").click().run()
    assert "candidate v6" in _seen(app)


def test_a_vote_is_recorded_with_both_versions(fake: FakeClient) -> None:
    app = _asked()
    app.text_input(key="compare_comment").set_value("names the protocol").run()
    app.button(key="compare_vote_left").click().run()
    vote = fake.votes(MODEL)[0].vote
    assert (vote.choice, vote.candidate_version, vote.live_version, vote.comment) == ("candidate", 6, 5, "names the protocol")
    assert "1 vote so far: candidate 1" in _seen(app)


def test_the_judge_is_asked_only_with_a_right_answer(fake: FakeClient) -> None:
    app = _asked()
    assert app.button(key="compare_judge").disabled
    app.text_input(key="compare_reference").set_value("22").run()
    app.button(key="compare_judge").click().run()
    assert "Names port 22." in _seen(app)


def test_a_drawn_row_brings_its_context_and_reference(fake: FakeClient) -> None:
    app = _open("compare", row="q-003")
    assert "Service 3 listens on TCP port 1003." in _seen(app)
    app.button(key="compare_ask").click().run()
    asked = next(args[0] for verb, args in fake.calls if verb == "compare")
    assert isinstance(asked, wire.Comparison)
    assert asked.question == "Which port does service 3 use?"


def test_nothing_can_be_asked_without_a_question(fake: FakeClient) -> None:
    assert _open("compare").button(key="compare_ask").disabled


def test_health_says_how_to_mend_what_is_broken(fake: FakeClient) -> None:
    assert "Start Prometheus, or unset GATEWRIGHT_PROMETHEUS_URL." in _seen(_open("health"))


def test_a_thousand_versions_cost_one_call(monkeypatch: pytest.MonkeyPatch, fake: FakeClient) -> None:
    large = FakeClient(version_count=1000)
    monkeypatch.setattr(fake, "versions", large.versions)
    app = _open("registry", version="1000")
    assert len(app.dataframe[0].value) == 1000
    assert sum(verb == "versions" for verb, _ in large.calls) == 1
    assert sum(verb == "version" for verb, _ in fake.calls) == 1
