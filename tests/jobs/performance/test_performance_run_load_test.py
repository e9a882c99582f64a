"""The load test as a job, against a server that answers as it is told: what it leaves, and how it tells what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import chat_server
import pytest

from controlplane.core import datasets, errors, load_results
from jobs import job
from jobs.performance import run_load_test

ROWS = [datasets.Row(f"r{n}", f"Which port has svc{n}?", f"svc{n} has port {n}.", str(n), True) for n in range(6)]
CANDIDATE, LIVE = "ops-qa-candidate", "ops-qa-live"


@dataclass
class Server:
    """Counts what it finished, as vLLM does. `moves_after`: requests after which live answers from elsewhere; `others`: finished unseen."""

    address: str
    count: int = 0
    others: int = 0
    moves_after: int = 1000
    status: int = 200

    def reply(self, path: str, body: dict[str, object]) -> chat_server.Reply:
        if path == "/version":
            return chat_server.as_json({"version": "0.32.0"})
        if path == "/v1/models":
            live = "/adapters/ops-qa/3-c" if self.count >= self.moves_after else "/adapters/ops-qa/1-a"
            adapters = {CANDIDATE: "/adapters/ops-qa/2-b", LIVE: live}
            slots = [{"id": name, "root": root, "parent": "base"} for name, root in adapters.items()]
            return chat_server.as_json({"data": [{"id": "base", "root": "/base", "parent": None, "max_model_len": 2048}, *slots]})
        if path == "/metrics":
            total = self.count + (self.others if self.count else 0)
            return chat_server.Reply(pieces=(f'vllm:request_success_total{{finished_reason="stop",engine="0"}} {total}\n'.encode(),))
        if self.status != 200:
            return chat_server.as_json({"error": "no"}, self.status)
        self.count += 1
        return chat_server.as_stream(chat_server.piece("7", None), chat_server.piece("", "stop"))


@pytest.fixture
def server() -> Iterator[Server]:
    with chat_server.running() as running:
        told = Server(running.address)
        running.reply = told.reply
        yield told


def ran(server: Server, folder: Path, *flags: str) -> load_results.LoadResults:
    (folder / "eval.jsonl").write_text(datasets.to_jsonl(ROWS))
    given = [
        f"--eval-file={folder / 'eval.jsonl'}",
        "--model-name=ops-qa",
        f"--vllm-url={server.address}",
        f"--output-dir={folder / 'out'}",
    ]
    arguments = run_load_test.parser().parse_args([*given, "--concurrency=1", "--warmup-requests=1", "--blocks=2", *flags])
    run_load_test.main(arguments, job.Log("test"))
    return load_results.from_files((folder / "out" / "results.json").read_text(), (folder / "out" / "samples.parquet").read_bytes())


def test_candidate_and_live_take_turns_and_the_candidate_is_swept(server: Server, tmp_path: Path) -> None:
    found = ran(server, tmp_path, "--sweep=1,2")
    assert [block.role for block in found.test.blocks] == ["candidate", "live", "candidate", "live"]
    asked = {role: sorted(s.row_id for s in found.test.samples if s.role == role and s.is_counted) for role in ("candidate", "live")}
    assert asked["candidate"] == asked["live"]
    assert len(asked["live"]) == 6
    assert len(set(asked["live"])) >= 5, "the warm-up took one question, and none comes again before all were asked"
    assert (found.sent, found.witness.finished, found.witness.agreement) == (14, 14.0, "agrees")
    assert (found.slots["live"].root, found.environment["max_model_len"]) == ("/adapters/ops-qa/1-a", "2048")
    assert [(step.load, len([s for s in step.test.samples if s.is_counted])) for step in found.sweep] == [(1.0, 20), (2.0, 20)]
    assert (found.faults, found.test.stopped_by) == ((), "count")


def test_two_tests_draw_their_questions_anew_and_a_seed_repeats_them(server: Server, tmp_path: Path) -> None:
    orders = [
        tuple(sample.row_id for sample in ran(server, tmp_path, "--baseline=none", f"--seed={seed}").test.samples if sample.is_counted)
        for seed in (5, 5, 6)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert ran(server, tmp_path).seed != ran(server, tmp_path).seed


def test_a_slot_that_moves_while_it_is_measured_is_told(server: Server, tmp_path: Path) -> None:
    server.moves_after = 5
    assert ran(server, tmp_path).faults == ("While the test ran, ops-qa-live went from /adapters/ops-qa/1-a to /adapters/ops-qa/3-c.",)


def test_requests_of_others_are_told(server: Server, tmp_path: Path) -> None:
    server.others = 3
    found = ran(server, tmp_path)
    assert (found.witness.agreement, found.witness.finished, found.sent) == ("contaminated", 17.0, 14)


def test_a_server_that_refuses_everything_leaves_its_errors(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.status = 503
    found = ran(server, tmp_path)
    assert {sample.error for sample in found.test.samples} == {"http 503"}
    assert f"Of {len(found.test.samples)} requests failed: {len(found.test.samples)} x http 503." in capsys.readouterr().out


@pytest.mark.parametrize(("flag", "words"), [("--adapter-name=nobody", "serves no 'nobody'"), ("--precision=3", "precision of 3")])
def test_what_makes_no_test_sends_nothing(server: Server, tmp_path: Path, flag: str, words: str) -> None:
    with pytest.raises(errors.GatewrightError, match=words):
        ran(server, tmp_path, flag)
    assert server.count == 0
    assert not (tmp_path / "out").exists()
