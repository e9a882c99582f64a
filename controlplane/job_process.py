"""Runs one job on this machine to its end, for whoever waits for it, and hands on its log lines. It knows no job and decides nothing."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from controlplane import ports
from controlplane.clients import job_log, processes

LOG = "job.log"
LOOK_SECONDS = 0.1
GRACE_SECONDS = 5


@dataclass(frozen=True)
class Ended:
    """`outputs` is what the job wrote to outputs.json; `reason` says why it failed, empty when it did not."""

    exit_code: int
    outputs: Mapping[str, str]
    reason: str


def run(module: str, arguments: tuple[str, ...], output_dir: Path, on_line: Callable[[ports.LogLine], None]) -> Ended:
    """The job's end. It sees our whole environment, the judge's key with it. An interrupt stops the job first.

    Raises:
        NoSpace: the log cannot be written.
    """
    command = (sys.executable, "-m", module, *arguments, f"--output-dir={output_dir}")
    log = job_log.JobLog(output_dir / LOG, module.rpartition(".")[2])
    process = processes.start(command, log=log.path, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        _follow(log, process, on_line)
        code = processes.exit_code(process)
    finally:
        processes.stop(process, grace_seconds=GRACE_SECONDS)
    outputs = _outputs(output_dir / "outputs.json")
    return Ended(1 if code is None else code, outputs, "" if code == 0 else outputs.get("reason") or log.last_words())


def _follow(log: job_log.JobLog, process: processes.ProcessHandle, on_line: Callable[[ports.LogLine], None]) -> None:
    number, is_over = 0, False
    while not is_over:
        is_over = not processes.is_alive(process)
        for line in log.read(number, has_ended=is_over):
            number = line.number
            on_line(line)
        if not is_over:
            time.sleep(LOOK_SECONDS)


def _outputs(file: Path) -> Mapping[str, str]:
    """Empty where the job ended before it could write them."""
    try:
        return {str(name): str(value) for name, value in json.loads(file.read_text()).items()}
    except FileNotFoundError:
        return {}
