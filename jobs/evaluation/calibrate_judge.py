"""Measures how far a judge agrees with trusted grades, and records it. It grades no adapter and sets no alias.

python -m jobs.evaluation.calibrate_judge --judge=reference --output-dir=out
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from controlplane import ports, settings
from controlplane.clients import mlflow_registry
from controlplane.core import calibration, datasets
from jobs import job
from jobs.evaluation import golden, judges

FILE = "calibration.json"


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    tracking = mlflow_registry.MlflowTracking(arguments.mlflow_tracking_uri or settings.load().mlflow_url)
    return calibrate(judges.choose(arguments), tracking, arguments, log)


def calibrate(chosen: judges.Chosen, tracking: ports.Tracking, arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    text = golden.text(arguments.golden_file)
    rows = calibration.parse(text, str(arguments.golden_file or golden.SHIPPED))
    log.info(f"Grading {len(rows)} answers with trusted grades with the {chosen.judge.name}.", judge=chosen.judge.name)
    found = golden.calibrate(
        chosen.judge, rows, arguments.max_concurrent, lambda done: log.progress(done, len(rows), f"{done} of {len(rows)} graded")
    )
    refusal = calibration.trust(found, arguments.min_kappa)
    about = {
        "identity": chosen.identity,
        "golden_digest": datasets.digest(text),
        "prompt_digest": calibration.prompt_digest(),
    }
    judged = {"min_kappa": arguments.min_kappa, "refusal": refusal, "warnings": calibration.warnings(found)}
    file = _write(arguments.output_dir / FILE, {**calibration.to_dict(found), **about, **judged})
    log.metric(f"{found.judge}: {calibration.shown(found)}", **metrics(found))
    for warning in calibration.warnings(found):
        log.warning(warning)
    run_id = record(tracking, found, about, refusal, arguments, file)
    outputs = {"judge": found.judge, "mlflow-run": run_id, **{name: str(value) for name, value in metrics(found).items()}}
    if refusal:
        raise job.GateNotPassed(refusal, outputs)
    return outputs


def record(
    tracking: ports.Tracking,
    found: calibration.Calibration,
    about: Mapping[str, str],
    refusal: str,
    arguments: argparse.Namespace,
    file: Path,
) -> str:
    """Returns the MLflow run's id."""
    return tracking.log(
        arguments.mlflow_experiment,
        f"calibration of {found.judge}",
        parameters={"judge": found.judge, **about, "min_kappa": str(arguments.min_kappa)},
        metrics=metrics(found),
        tags={"judge": found.judge, "golden.digest": about["golden_digest"], "trusted": str(not refusal).lower()},
        files=[file],
    )


def metrics(found: calibration.Calibration) -> dict[str, float]:
    """Kappa and its bounds are left out where they are undefined."""
    known: dict[str, float] = {"agreement": found.agreement, "unscored": found.unscored, "rows": found.rows}
    if found.kappa is None or found.interval is None:
        return known
    return {"kappa": found.kappa, "kappa_low": found.interval.low, "kappa_high": found.interval.high, **known}


def _write(file: Path, value: Mapping[str, object]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    job.write_atomically(file, json.dumps(value, indent=2, ensure_ascii=False))
    return file


def kappa(text: str) -> float:
    """A number from -1 to 1, for argparse."""
    value = float(text)
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between -1 and 1")
    return value


def parser() -> argparse.ArgumentParser:
    result = job.parser("Measure a judge's agreement with trusted grades; exit status 1 when its grades must not count.")
    judges.add_arguments(result)
    result.add_argument("--golden-file", type=Path, help="JSONL of answers with trusted grades; none: the set shipped for ops-qa")
    result.add_argument("--min-kappa", type=kappa, default=calibration.MIN_KAPPA, help="lowest Cohen's kappa at which grades count")
    result.add_argument("--mlflow-tracking-uri", default="", help="MLflow server; empty: MLFLOW_TRACKING_URI, else the local one")
    result.add_argument("--mlflow-experiment", default="vllm-lora-judge", help="MLflow experiment of the calibrations")
    return result


if __name__ == "__main__":
    job.run("calibrate-judge", main, parser().parse_args())
