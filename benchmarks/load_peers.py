"""The load generators of others: how each is installed, told to do what ours does, and read. It compares nothing."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import load_client

OFFLINE = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Task:
    """What a generator is asked to do; `folder` is its own, empty."""

    address: str
    concurrency: int
    requests: int
    tokens: int
    tokenizer: Path
    folder: Path


@dataclass(frozen=True)
class Reported:
    """A generator's own words, in seconds."""

    ttft_p50: float
    ttft_p99: float
    e2e_p50: float
    e2e_p99: float


@dataclass(frozen=True)
class Peer:
    """`packages` go one after the other into an environment of its own; none for what our own has."""

    name: str
    packages: tuple[str, ...]
    command: Callable[[Path, Task], Sequence[str]]
    read: Callable[[Path], Reported]
    environment: Mapping[str, str]


def install(peer: Peer, folder: Path) -> str:
    """Empty, or why it cannot be run."""
    if not peer.packages:
        return "" if importlib.util.find_spec("vllm") else "vLLM is not in this environment"
    home = folder / peer.name
    if (home / "installed").exists():
        return ""
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    for package in peer.packages:
        command = [str(home / "bin" / "pip"), "install", "--quiet", "--no-input", package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{package} does not install: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
    (home / "installed").touch()
    return ""


def write_questions(task: Task, field: str) -> Path:
    file = task.folder / "questions.jsonl"
    file.write_text("".join(json.dumps({field: load_client.question(row)}) + "\n" for row in range(task.requests)))
    return file


def _guidellm(home: Path, task: Task) -> list[str]:
    questions = write_questions(task, "prompt")
    return [
        *(str(home / "bin" / "guidellm"), "run", "--disable-console"),
        *("--backend", f"kind=openai_http,target={task.address},model=stub,request_format=/v1/chat/completions"),
        *("--profile", f"kind=concurrent,streams={task.concurrency}"),
        *("--constraint", f"kind=max_requests,count={task.requests}"),
        *("--tokenizer", f"kind=hf_auto,model={task.tokenizer}"),
        *("--data", f"kind=json_file,path={questions}"),
        *("--output", f"kind=json,path={task.folder / 'report.json'}"),
    ]


def _read_guidellm(folder: Path) -> Reported:
    metrics = json.loads((folder / "report.json").read_text())["benchmarks"][0]["metrics"]
    ttft, e2e = (metrics[name]["successful"]["percentiles"] for name in ("time_to_first_token_ms", "request_latency"))
    return Reported(ttft["p50"] / 1000, ttft["p99"] / 1000, e2e["p50"], e2e["p99"])


def _aiperf(home: Path, task: Task) -> list[str]:
    questions = write_questions(task, "text")
    return [
        *(str(home / "bin" / "aiperf"), "profile", "--model", "stub", "--url", task.address, "--tokenizer", str(task.tokenizer)),
        *("--endpoint-type", "chat", "--streaming", "--use-server-token-count"),
        *("--concurrency", str(task.concurrency), "--request-count", str(task.requests)),
        *("--input-file", str(questions), "--custom-dataset-type", "single_turn"),
        *("--artifact-dir", str(task.folder), "--ui", "none", "--no-server-metrics", "--no-gpu-telemetry"),
    ]


def _read_aiperf(folder: Path) -> Reported:
    report = json.loads((folder / "profile_export_aiperf.json").read_text())
    ttft, e2e = report["time_to_first_token"], report["request_latency"]
    return Reported(*(value / 1000 for value in (ttft["p50"], ttft["p99"], e2e["p50"], e2e["p99"])))


# The `vllm` command looks up the distribution's name, which is another one in the CPU build.
VLLM = """
from vllm.benchmarks import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
serve.add_cli_args(parser)
serve.main(parser.parse_args())
"""


def _vllm(_home: Path, task: Task) -> list[str]:
    questions = write_questions(task, "prompt")
    return [
        *(sys.executable, "-c", VLLM, "--backend", "openai-chat", "--base-url", task.address, "--endpoint", "/v1/chat/completions"),
        *("--model", "stub", "--tokenizer", str(task.tokenizer), "--max-concurrency", str(task.concurrency)),
        *("--dataset-name", "custom", "--dataset-path", str(questions), "--disable-shuffle", "--skip-chat-template"),
        *("--num-prompts", str(task.requests), "--custom-output-len", str(task.tokens), "--disable-tqdm"),
        *("--percentile-metrics", "ttft,e2el", "--metric-percentiles", "50,99"),
        *("--save-result", "--result-dir", str(task.folder), "--result-filename", "report.json"),
    ]


def _read_vllm(folder: Path) -> Reported:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return Reported(*(report[name] / 1000 for name in ("p50_ttft_ms", "p99_ttft_ms", "p50_e2el_ms", "p99_e2el_ms")))


PEERS = (
    Peer("guidellm", ("torch==2.13.0", "guidellm==0.8.1"), _guidellm, _read_guidellm, OFFLINE),
    # Told to be offline it looks for the tokenizer in the hub's cache only, and not in its folder.
    Peer("aiperf", ("aiperf==0.13.0",), _aiperf, _read_aiperf, {}),
    Peer("vllm bench serve", (), _vllm, _read_vllm, {**OFFLINE, "VLLM_CPU_OMP_THREADS_BIND": "nobind"}),
)
