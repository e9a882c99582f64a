"""Who judges: one model, several that vote, and never the model under test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import chat_server
import pytest

from controlplane.core import datasets, errors
from jobs.evaluation import judges, run_judge

ROW = datasets.Row("r1", "Which port?", "ssh listens on 22.", "22", True)


def serving(server: chat_server.ChatServer, **says: str) -> chat_server.ChatServer:
    """Lists the models and lets each say what is given."""
    listed = {"object": "list", "data": [{"id": name.replace("_", "-"), "object": "model"} for name in says]}

    def reply(path: str, body: dict[str, object]) -> chat_server.Reply:
        if path.endswith("/models"):
            return chat_server.as_json(listed)
        return chat_server.as_json(chat_server.completion(says[str(body["model"]).replace("-", "_")]))

    server.reply = reply
    return server


@pytest.fixture
def servers() -> Iterator[list[chat_server.ChatServer]]:
    with ExitStack() as running:
        yield [running.enter_context(chat_server.running()) for _ in range(2)]


def choose(home: Path, monkeypatch: pytest.MonkeyPatch, *flags: str) -> judges.Chosen:
    monkeypatch.setenv("GATEWRIGHT_HOME", str(home))
    arguments = run_judge.parser().parse_args(["--candidate-file=x", *flags])
    return judges.choose(arguments, ["http://127.0.0.1:9"], ["ops-qa-candidate", "ops-qa-live"])


def close(chosen: judges.Chosen) -> None:
    for judge in (*chosen.caches, *chosen.asked):
        judge.close()


def test_models_of_one_server_vote_and_what_they_said_is_kept(tmp_path, monkeypatch, servers) -> None:  # type: ignore[no-untyped-def]
    server = serving(servers[0], one="Grade: A", two="Grade: C", three='{"reason": "right", "grade": "A"}')
    for known in (0, 3):
        chosen = choose(tmp_path, monkeypatch, f"--judge-url={server.address}", "--judge-model=one,two,three")
        grade = chosen.judge.grade(ROW, "22")
        assert (grade.letter, grade.votes, chosen.known) == ("A", "ACA", known)
        assert chosen.judge.name == "majority of 3: llm judge (one), llm judge (two), llm judge (three)"
        assert chosen.identity.count("temperature=0") == 3
        close(chosen)


def test_judges_on_several_servers_need_a_majority(tmp_path, monkeypatch, servers) -> None:  # type: ignore[no-untyped-def]
    first, second = serving(servers[0], big="Grade: A"), serving(servers[1], small="Grade: B")
    chosen = choose(tmp_path, monkeypatch, f"--judge-url={first.address},{second.address}", "--no-cache")
    grade = chosen.judge.grade(ROW, "22")
    assert (grade.letter, grade.votes, grade.reason) == ("", "AB", "No majority among the judges: A, B.")
    close(chosen)


@pytest.mark.parametrize("is_allowed", [False, True])
def test_a_server_that_serves_the_slot_under_test_is_asked_only_when_told(tmp_path, monkeypatch, servers, is_allowed) -> None:  # type: ignore[no-untyped-def]
    server = serving(servers[0], base="Grade: A", ops_qa_candidate="Grade: A")
    flags = [f"--judge-url={server.address}", *(["--allow-self-judging"] if is_allowed else [])]
    if is_allowed:
        close(choose(tmp_path, monkeypatch, *flags))
    else:
        with pytest.raises(errors.Refused, match="serves ops-qa-candidate, which is under test"):
            choose(tmp_path, monkeypatch, *flags)
    assert not [path for path, _ in server.asked if path.endswith("/chat/completions")]
