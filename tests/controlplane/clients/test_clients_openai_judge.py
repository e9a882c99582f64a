"""The judge client against a server that misbehaves on demand; a real model judges in the tests of the evaluation jobs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import chat_server
import pytest

from controlplane.clients import openai_judge
from controlplane.core import datasets, errors

ROW = datasets.Row("1", "Which port?", "ssh listens on 22.", "22", True)
MODELS = {"object": "list", "data": [{"id": "small", "object": "model"}, {"id": "big", "object": "model"}]}


Judges = Callable[..., openai_judge.OpenAiJudge]


@pytest.fixture
def server() -> Iterator[chat_server.ChatServer]:
    with chat_server.running() as running:
        yield running


@pytest.fixture
def judge_at() -> Iterator[Judges]:
    """Makes judges and closes them at the end."""
    with contextlib.ExitStack() as made:
        yield lambda *args, **options: made.enter_context(contextlib.closing(openai_judge.OpenAiJudge(*args, **options)))


def says(*replies: chat_server.Reply) -> object:
    """Models are listed; chats get the replies in turn, the last one for ever."""
    waiting = list(replies)

    def reply(path: str, body: dict[str, object]) -> chat_server.Reply:
        if path.endswith("/models"):
            return chat_server.as_json(MODELS)
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return reply


def chats(server: chat_server.ChatServer) -> list[dict[str, object]]:
    return [body for path, body in server.asked if path.endswith("/chat/completions")]


def test_grades_with_the_first_listed_model_and_a_schema(judge_at: Judges, server: chat_server.ChatServer) -> None:
    server.reply = says(chat_server.as_json(chat_server.completion('{"reason": "right", "grade": "A"}')))
    judge = judge_at(server.address)
    assert judge.name == "llm judge (small)"
    assert judge.grade(ROW, "22").letter == "A"
    (body,) = chats(server)
    assert body["model"] == "small"
    assert body["temperature"] == 0.0
    assert body["response_format"]["json_schema"]["schema"]["properties"]["grade"]["enum"] == ["A", "B", "C"]
    assert [path for path, _ in server.asked].count("/v1/models") == 1


def test_an_address_with_v1_is_taken_as_it_is(judge_at: Judges, server: chat_server.ChatServer) -> None:
    server.reply = says(chat_server.as_json(chat_server.completion("Grade: B")))
    assert judge_at(f"{server.address}/v1/", "big").grade(ROW, "x").letter == "B"
    assert {path for path, _ in server.asked} == {"/v1/models", "/v1/chat/completions"}


def test_rate_limits_and_server_errors_are_tried_again(judge_at: Judges, server: chat_server.ChatServer) -> None:
    busy = [chat_server.as_json({"error": {"message": "busy"}}, status, retry_after_ms="1") for status in (429, 503)]
    server.reply = says(*busy, chat_server.as_json(chat_server.completion("Grade: C")))
    assert judge_at(server.address).grade(ROW, "80").letter == "C"
    assert len(chats(server)) == 3


def test_a_server_that_stays_broken_is_unreachable(judge_at: Judges, server: chat_server.ChatServer) -> None:
    server.reply = says(chat_server.as_json({"error": {"message": "no"}}, 500, retry_after_ms="1"))
    with pytest.raises(errors.Unreachable, match="HTTP 500 after every retry"):
        judge_at(server.address, max_retries=2).grade(ROW, "22")
    assert len(chats(server)) == 3


def test_a_judge_that_does_not_answer_in_time_is_unreachable(judge_at: Judges, server: chat_server.ChatServer) -> None:
    server.reply = says(chat_server.Reply(hangs=True))
    with pytest.raises(errors.Unreachable, match=r"no reply within 0\.2 s"):
        judge_at(server.address, answer_seconds=0.2, max_retries=0).grade(ROW, "22")


def test_without_structured_output_it_asks_plainly(judge_at: Judges, server: chat_server.ChatServer) -> None:
    refusal = chat_server.as_json({"error": {"message": "response_format is not supported"}}, 400)
    server.reply = says(refusal, chat_server.as_json(chat_server.completion("Grade: A")))
    assert judge_at(server.address).grade(ROW, "22").letter == "A"
    assert ["response_format" in body for body in chats(server)] == [True, False]


def test_a_question_it_refuses_is_unscored(judge_at: Judges, server: chat_server.ChatServer) -> None:
    server.reply = says(chat_server.as_json({"error": {"message": "too long"}}, 400))
    grade = judge_at(server.address).grade(ROW, "22")
    assert grade.letter == ""
    assert "too long" in grade.reason


@pytest.mark.parametrize("text", ["", "I would rather not say."])
def test_an_unreadable_reply_is_unscored(judge_at: Judges, server: chat_server.ChatServer, text: str) -> None:
    server.reply = says(chat_server.as_json(chat_server.completion(text)))
    assert judge_at(server.address).grade(ROW, "22").letter == ""


def test_no_access_is_permanent_and_names_no_key(judge_at: Judges, server: chat_server.ChatServer) -> None:
    server.reply = says(chat_server.as_json({"error": {"message": "bad key"}}, 401))
    with pytest.raises(errors.OutsideError, match="HTTP 401") as fault:
        judge_at(server.address, api_key="very-secret").grade(ROW, "22")
    assert "very-secret" not in str(fault.value)


def test_a_model_that_is_not_listed_is_named(judge_at: Judges, server: chat_server.ChatServer) -> None:
    server.reply = says(chat_server.as_json({}))
    with pytest.raises(errors.NotFound, match="It lists: small, big"):
        judge_at(server.address, "huge").grade(ROW, "22")


def test_nobody_there_is_named_with_its_address(judge_at: Judges) -> None:
    with pytest.raises(errors.Unreachable, match=chat_server.NOBODY):
        judge_at(chat_server.NOBODY).model()


def test_a_password_in_the_address_is_not_written_down(judge_at: Judges, server: chat_server.ChatServer) -> None:
    server.reply = says(chat_server.as_json(chat_server.completion("A")))
    judge = judge_at(server.address.replace("//", "//ada:secret@"))
    assert judge.identity.startswith(f"{server.address} small ")


@pytest.mark.parametrize(("reply", "choice"), [('{"reason": "x", "better": "2"}', "2"), ("Better: tie", "TIE"), ("The first.", "")])
def test_says_which_answer_is_better(judge_at: Judges, server: chat_server.ChatServer, reply: str, choice: str) -> None:
    server.reply = says(chat_server.as_json(chat_server.completion(reply)))
    assert judge_at(server.address).prefer(ROW, "80", "22").choice == choice
    (body,) = chats(server)
    assert body["response_format"]["json_schema"]["schema"]["properties"]["better"]["enum"] == ["1", "2", "tie"]
    assert "Answer 1:" in body["messages"][1]["content"]
