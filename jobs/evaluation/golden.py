"""The golden set, and one judge's grades of it. It reads and measures; whether the judge's grades count is decided elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

from controlplane import ports
from controlplane.core import agreement, calibration, judging
from jobs import records
from jobs.evaluation import answers, grading

SHIPPED = "ops-qa.jsonl"
ROLE = "golden"


def text(file: Path | None = None) -> str:
    """The file's text; the set that is shipped for `ops-qa` when none is named.

    Raises:
        InvalidInput: the file is missing or no text.
    """
    return records.read_text(file) if file else (resources.files("controlplane") / "golden" / SHIPPED).read_text(encoding="utf-8")


def read(file: Path | None = None) -> list[calibration.GoldenRow]:
    """Its rows.

    Raises:
        InvalidInput: naming file, line and field.
    """
    return calibration.parse(text(file), str(file or SHIPPED))


def calibrate(
    judge: ports.Judge,
    golden: Sequence[calibration.GoldenRow],
    max_concurrent: int,
    on_done: Callable[[int], None] = lambda _: None,
) -> calibration.Calibration:
    """The judge's agreement with the trusted grades; it sees neither them nor a row's kind. `on_done` is told how many rows are graded.

    Raises:
        GatewrightError: as the judge does.
    """
    threading.Thread(target=agreement.load, daemon=True).start()
    graded = grading.grade_all(judge, [_answered(row) for row in golden], max_concurrent, on_done)
    return calibration.measure(judge.name, golden, {row.id: judging.Grade(row.grade, row.reason) for row in graded})


def _answered(row: calibration.GoldenRow) -> answers.Answered:
    return answers.Answered(
        id=row.id,
        role=ROLE,
        question=row.question,
        context=row.context,
        reference=row.reference,
        answerable=row.answerable,
        answer=row.answer,
        latency_seconds=None,
        first_token_seconds=None,
        tokens=0,
        finish_reason="stop",
    )
