"""Answers are graded as they arrive, comparisons in both orders, looks that end early, and what an interruption leaves behind."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from controlplane import testing
from controlplane.core import datasets, errors, judging, pairwise, reference_judge, row_order, sequential
from jobs import job, records
from jobs.evaluation import answers, grading, judges, questions, run_inference, run_judge

LOG = job.Log("test")


def said(row: str, role: str, answer: str, *, answerable: bool = True, error: str = "", root: str = "/a/1") -> answers.Answered:
    reference = "22" if answerable else "Not in the context."
    return answers.Answered(row, role, f"Port of {row}?", f"{row} 22", reference, answerable, answer, 0.5, 0.1, 1, "stop", error, root)


def judged(directory: Path, rows: list[answers.Answered], *flags: str, judge: object = None) -> dict[str, object]:
    files = {role: records.write(directory / f"{role}.jsonl", [row for row in rows if row.role == role]) for role in ("candidate", "live")}
    arguments = run_judge.parser().parse_args(
        [f"--candidate-file={files['candidate']}", f"--live-file={files['live']}", f"--output-dir={directory / 'judge'}", *flags]
    )
    chosen = judges.Chosen(judge or reference_judge.ReferenceJudge(), "its identity")  # type: ignore[arg-type]
    return dict(run_judge.grade(chosen, arguments, LOG))


# -- following ----------------------------------------------------------------------------------------------------------------


def test_rows_are_read_while_they_are_written(tmp_path: Path) -> None:
    file, seen = tmp_path / "answers.jsonl", []
    rows = [said(f"r{number}", "candidate", "22") for number in range(3)]
    has_come = threading.Semaphore(0)

    def read() -> None:
        for row in answers.follow([file], pause=lambda: None):
            seen.append(row)
            has_come.release()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with records.appending(file) as add:
        for number, row in enumerate(rows, start=1):
            add(row)
            assert has_come.acquire(timeout=30)
            assert seen == rows[:number]
        assert not file.exists()
    reader.join(30)
    assert (seen, reader.is_alive()) == (rows, False)


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    line = records.write(tmp_path / "one.jsonl", [said("r1", "candidate", "2\u20282")]).read_text()
    written = iter([line[:20], line[20:], None])

    def write_on() -> None:
        piece = next(written)
        if piece is None:
            records.partial(file).rename(file)
        else:
            with records.partial(file).open("a", encoding="utf-8") as opened:
                opened.write(piece)

    assert [row.answer for row in answers.follow([file], pause=write_on)] == ["2\u20282"]


def test_two_files_come_in_turn(tmp_path: Path) -> None:
    files = [
        records.write(tmp_path / f"{role}.jsonl", [said(f"r{number:03}", role, "22") for number in range(100)])
        for role in ("candidate", "live")
    ]
    held: set[str] = set()
    most = 0
    for row in answers.follow(files):
        held ^= {row.id}
        most = max(most, len(held))
    assert (held, most) == (set(), 16)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text("{}\n")
    with pytest.raises(errors.InvalidInput, match=r"answers.jsonl line 1 lacks the field 'id'"):
        list(answers.follow([file]))


def test_work_is_read_only_as_far_as_a_thread_is_free() -> None:
    taken, may_end = itertools.count(), threading.Event()
    read: list[int] = []

    def tasks() -> object:
        for number in itertools.islice(taken, 500):
            read.append(number)
            yield lambda: may_end.wait(30)

    found = grading.carry_out(tasks(), 4)  # type: ignore[arg-type,var-annotated]
    threading.Timer(0.05, may_end.set).start()
    next(found)
    assert len(read) < 100
    assert sum(1 for _ in found) == 499


# -- questions and answers ----------------------------------------------------------------------------------------------------


ROWS = [datasets.Row(f"r{number}", f"Port of r{number}?", f"r{number} 22", "22", True) for number in range(40)]


def test_every_role_is_asked_in_the_same_order_whatever_the_file_s(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n" + datasets.to_jsonl(ROWS))
    (tmp_path / "b.jsonl").write_text(datasets.to_jsonl(reversed(ROWS)).rstrip("\n"))
    first, second = questions.read(tmp_path / "a.jsonl"), questions.read(tmp_path / "b.jsonl")
    assert list(first) == list(second)
    assert [row.id for row in first] == row_order.order(row.id for row in ROWS)
    assert sorted(first, key=lambda row: int(row.id[1:])) == ROWS
    assert len(first) == 40


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (datasets.to_jsonl([ROWS[0], ROWS[0]]).encode(), "line 2: id 'r0' was used in line 1"),
        (datasets.to_jsonl([replace(ROWS[0], answer=" ")]).encode(), "line 1: field 'answer' is empty"),
        (b"", "has no rows"),
        (b"\xff\n", "is not UTF-8"),
        (b"{\n", "line 1 is not JSON"),
    ],
)
def test_a_bad_eval_file_is_refused_before_anybody_is_asked(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "eval.jsonl").write_bytes(content)
    with pytest.raises(errors.InvalidInput, match=says):
        questions.read(tmp_path / "eval.jsonl")


@dataclass
class Breaking:
    """Answers until it has answered `limit` questions, then is gone."""

    inner: testing.FakeInference
    limit: int
    asked: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    @asynccontextmanager
    async def kept_open(self):  # type: ignore[no-untyped-def]
        yield self

    async def stream(self, slot: str, messages: list[dict[str, str]], **options: object):  # type: ignore[no-untyped-def]
        self.asked.append(messages[-1]["content"])
        if len(self.asked) > self.limit:
            raise errors.Unreachable("vLLM", "http://vllm.test", "it is gone")
        async for delta in self.inner.stream(slot, messages, **options):  # type: ignore[arg-type]
            yield delta


def infer(server: object, directory: Path) -> dict[str, object]:
    arguments = run_inference.parser().parse_args(
        ["--eval-file=x", "--model-name=ops-qa", "--max-concurrent=1", f"--output-dir={directory}"]
    )
    return dict(run_inference.infer(server, ROWS, arguments, LOG))  # type: ignore[arg-type]


def serving(root: str) -> testing.FakeInference:
    return testing.FakeInference(slots={"ops-qa-candidate": Path(root)}, reply=lambda *_: "22")


@pytest.mark.parametrize(("root", "asked_again"), [("/a/1", 30), ("/a/2", 40)], ids=["the same adapter", "another adapter"])
def test_an_interrupted_inference_asks_only_what_it_does_not_know(tmp_path: Path, root: str, asked_again: int) -> None:
    with pytest.raises(errors.Unreachable, match="30 of 40 requests failed"):
        infer(Breaking(serving("/a/1"), 10), tmp_path / "inference" / "1" / "output")
    again = Breaking(serving(root), 100)
    outputs = infer(again, tmp_path / "inference" / "2" / "output")
    assert (outputs["answered"], len(again.asked)) == (40, asked_again)
    found = records.read(tmp_path / "inference" / "2" / "output" / "answers.jsonl", answers.Answered)
    assert ({row.id for row in found}, {row.root for row in found}) == ({row.id for row in ROWS}, {root})


def test_a_prompt_longer_than_the_context_is_a_row_without_an_answer(tmp_path: Path) -> None:
    @dataclass
    class Short(Breaking):
        async def stream(self, slot: str, messages: list[dict[str, str]], **options: object):  # type: ignore[no-untyped-def]
            if "r7?" in messages[-1]["content"]:
                raise errors.OutsideError("vLLM", "http://vllm.test", "HTTP 400: longer than the maximum model length of 2048")
            async for delta in self.inner.stream(slot, messages, **options):  # type: ignore[arg-type]
                yield delta

    outputs = infer(Short(serving("/a/1"), 0), tmp_path / "inference")
    assert (outputs["answered"], outputs["failed"]) == (39, 1)
    found = {row.id: row.error for row in records.read(tmp_path / "inference" / "answers.jsonl", answers.Answered)}
    assert "maximum model length" in found["r7"]


def test_a_job_started_by_hand_has_no_earlier_attempts(tmp_path: Path) -> None:
    (tmp_path / "mine" / "output").mkdir(parents=True)
    assert job.earlier_outputs(tmp_path / "mine" / "output") == []


# -- grades and comparisons ---------------------------------------------------------------------------------------------------


@dataclass
class Positional:
    """Prefers whatever stands first, and counts what it is asked."""

    name: str = "positional"
    compared: list[tuple[str, str]] = field(default_factory=list)

    def grade(self, row: datasets.Row, answer: str) -> judging.Grade:
        return reference_judge.grade_by_reference(row, answer)

    def prefer(self, row: datasets.Row, first: str, second: str) -> pairwise.Preference:
        self.compared.append((first, second))
        return pairwise.Preference("1", "the first")


def test_answers_are_compared_in_both_orders_and_equal_ones_not_at_all(tmp_path: Path) -> None:
    rows = [said("r1", "candidate", "22"), said("r2", "candidate", "22"), said("r3", "candidate", "22"), said("r1", "live", "80")]
    rows += [said("r2", "live", " 22 "), said("r3", "live", "", error="it was busy")]
    judge = Positional()
    outputs = judged(tmp_path, rows, judge=judge)
    found = {row.id: row for row in records.read(tmp_path / "judge" / "comparisons.jsonl", pairwise.ComparedRow)}
    assert (outputs["compared"], judge.compared) == (2, [("22", "80"), ("80", "22")])
    assert (found["r1"].candidate_first, found["r1"].live_first, found["r1"].winner) == ("candidate", "live", "tie")
    assert found["r2"].winner == "tie"


def test_nothing_is_compared_unless_wished(tmp_path: Path) -> None:
    judge = Positional()
    outputs = judged(tmp_path, [said("r1", "candidate", "22"), said("r1", "live", "80")], "--no-pairwise", judge=judge)
    assert (outputs["compared"], judge.compared) == (0, [])


def test_the_judge_is_measured_before_its_grades(tmp_path: Path) -> None:
    judged(tmp_path, [said("r1", "candidate", "22")])
    found = json.loads((tmp_path / "judge" / "calibration.json").read_text())
    assert (found["judge"], found["rows"]) == ("reference judge (deterministic)", 144)
    assert 0.6 < found["kappa"] < 1


def alike(count: int, wrong: dict[str, int]) -> list[answers.Answered]:
    """`count` answerable and as many unanswerable rows of both roles; the first so many answerable ones of a role are wrong."""
    return [
        row
        for role in ("candidate", "live")
        for number in range(count)
        for row in (
            said(f"r{number}", role, "80" if number < wrong.get(role, 0) else "22"),
            said(f"u{number}", role, "Not in the context.", answerable=False),
        )
    ]


LOOKS = ("--rules=interval", "--margin=0.05", "--looks=3")


@pytest.mark.parametrize(
    ("wrong", "judged_rows"), [({"live": 150}, 134), ({"candidate": 150}, 134), ({}, 267)], ids=["better", "worse", "alike"]
)
def test_judging_ends_when_the_verdict_stands(tmp_path: Path, wrong: dict[str, int], judged_rows: int) -> None:
    outputs = judged(tmp_path, alike(200, wrong), *LOOKS)
    found = records.read(tmp_path / "judge" / "grades.jsonl", judging.GradedRow)
    assert (len(found), outputs["graded"]) == (800, 2 * judged_rows)
    seen = {row.id for row in found if row.reason != sequential.NOT_JUDGED}
    assert seen == set(row_order.order({row.id for row in found})[:judged_rows])


@pytest.mark.parametrize(
    "flags", [["--looks=3", "--rules=point"], ["--looks=3", "--rules=interval", "--reading=pairwise"], ["--looks=11", "--rules=interval"]]
)
def test_looks_that_no_rule_takes_are_refused_before_the_judge_is_asked(tmp_path: Path, flags: list[str]) -> None:
    judge = testing.FakeJudge(fault=errors.Refused("must not be asked"))
    with pytest.raises(errors.InvalidInput, match="looks="):
        judged(tmp_path, [said("r1", "candidate", "22")], *flags, judge=judge)


# -- who judges ---------------------------------------------------------------------------------------------------------------


def choose(make: Callable[..., judges.Chosen] = judges.choose, *flags: str) -> judges.Chosen:
    return make(run_judge.parser().parse_args(["--candidate-file=x", "--no-cache", *flags]), ["http://127.0.0.1:8100"], ["ops-qa-live"])


@pytest.mark.parametrize(
    ("urls", "models"), [("http://a:1,http://b:2", "m,n,o"), ("http://a:1,http://b:2,http://c:3", "m,n"), ("", ""), (" , ", "m")]
)
def test_judges_that_cannot_be_told_apart_are_refused(urls: str, models: str) -> None:
    with pytest.raises(errors.InvalidInput, match="judge"):
        choose(judges.choose, f"--judge-url={urls}", f"--judge-model={models}")
