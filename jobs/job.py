"""What every job shares: log lines as JSON, small outputs to outputs.json, our errors as exit codes. No job's own work lives here."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from controlplane.core import errors
from controlplane.core.runs import ExitCode

TERMINATION_LOG = Path("/dev/termination-log")


class Log:
    """One JSON object a line on stdout: time, level, step, message, fields."""

    def __init__(self, step: str) -> None:
        self.step = step

    def info(self, message: str, **fields: object) -> None:
        self._write("INFO", message, fields)

    def warning(self, message: str, **fields: object) -> None:
        self._write("WARNING", message, fields)

    def error(self, message: str, **fields: object) -> None:
        self._write("ERROR", message, fields)

    def metric(self, message: str, **fields: object) -> None:
        """A measured value worth a chart."""
        self._write("METRIC", message, fields)

    def progress(self, done: int, total: int, message: str = "", **fields: object) -> None:
        """How far: the console and the demo draw their bars from these lines."""
        self._write("PROGRESS", message or f"{done} of {total}", {"done": done, "total": total, **fields})

    def _write(self, level: str, message: str, fields: Mapping[str, object]) -> None:
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "step": self.step,
            "message": message,
            "fields": fields,
        }
        print(json.dumps(line, default=str), flush=True)


class GateNotPassed(Exception):
    """The job did its work and the gate said no; the message is the verdict's reason, `outputs` what the job still hands on."""

    def __init__(self, reason: str, outputs: Mapping[str, object] | None = None) -> None:
        super().__init__(reason)
        self.outputs = {"outcome": "fail", **(outputs or {})}


def parser(description: str) -> argparse.ArgumentParser:
    """An argument parser with the argument every job has."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    result.add_argument("--output-dir", type=Path, default=Path("output"), help="where outputs.json and larger files go")
    return result


def positive_integer(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def count(text: str) -> int:
    """A whole number of at least 0, for argparse."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return value


def positive_number(text: str) -> float:
    """A finite number above 0, for argparse."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def number(text: str) -> float:
    """A finite number of at least 0, for argparse."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 0")
    return value


def run(step: str, main: Callable[[argparse.Namespace, Log], Mapping[str, object]], arguments: argparse.Namespace) -> NoReturn:
    """Runs the job's `main`, writes what it returns as outputs, and exits with the code that says how it went.

    Exit 1 with an `outcome` among the outputs is a gate's no; exit 1 without one is a failure that a retry would not mend.
    """
    log = Log(step)
    signal.signal(signal.SIGTERM, _stop)
    try:
        _exit(ExitCode.DONE, arguments.output_dir, main(arguments, log))
    except GateNotPassed as stop:
        log.warning(str(stop))
        _exit(ExitCode.GATE_NOT_PASSED, arguments.output_dir, {**stop.outputs, "reason": str(stop)})
    except errors.GatewrightError as error:
        log.error(str(error), title=error.title)
        _exit(_code_of(error), arguments.output_dir, {"reason": str(error)})
    except OSError as error:
        full = errors.NoSpace(
            f"{error.strerror or error}: {error.filename or 'no file named'}.", hint="Check the path, its rights and the free disk space."
        )
        log.error(str(full), title=full.title)
        _exit(ExitCode.GATE_NOT_PASSED, arguments.output_dir, {"reason": str(full)})


def _code_of(error: errors.GatewrightError) -> ExitCode:
    match error:
        case errors.InvalidInput():
            return ExitCode.WRONG_ARGUMENTS
        case errors.Unreachable():
            return ExitCode.DEPENDENCY_FAILED
        case _:
            return ExitCode.GATE_NOT_PASSED


def _exit(code: ExitCode, output_dir: Path, outputs: Mapping[str, object]) -> NoReturn:
    text = json.dumps({name: str(value) for name, value in outputs.items()})
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        write_atomically(output_dir / "outputs.json", text)
        if TERMINATION_LOG.exists():
            TERMINATION_LOG.write_text(text)
    except OSError as error:
        print(f"cannot write {output_dir / 'outputs.json'}: {error}", file=sys.stderr)
        code = code or ExitCode.GATE_NOT_PASSED
    sys.exit(code)


def earlier_outputs(output_dir: Path) -> list[Path]:
    """Where earlier attempts of this step wrote, newest first, if its executor keeps them side by side as <step>/<attempt>/output."""
    attempt = output_dir.absolute().parent
    if not attempt.name.isdecimal() or not attempt.parent.exists():
        return []
    numbers = sorted((int(one.name) for one in attempt.parent.iterdir() if one.name.isdecimal()), reverse=True)
    return [attempt.parent / str(number) / output_dir.name for number in numbers if number < int(attempt.name)]


def write_atomically(path: Path, content: str | bytes) -> None:
    """Whole or not at all, whenever the process is killed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.replace(path)


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)
