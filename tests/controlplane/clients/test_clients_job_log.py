"""Lines of a growing log, whatever a job writes into it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controlplane.clients import job_log

JSON_LINE = json.dumps({"time": "t", "level": "METRIC", "step": "train", "message": "loss", "fields": {"loss": 0.5}}).encode()

LINES = {
    "json": (JSON_LINE, ("t", "METRIC", "train", "loss", {"loss": 0.5})),
    "text": (b"Downloading", ("", "INFO", "own", "Downloading", {})),
    "other json": (b"[1, 2]", ("", "INFO", "own", "[1, 2]", {})),
    "json without a message": (b'{"level": "INFO"}', ("", "INFO", "own", '{"level": "INFO"}', {})),
    "fields that are no object": (b'{"message": "m", "fields": 3}', ("", "INFO", "own", "m", {})),
    "a progress bar": (b" 10%|#\r 55%|###\r100%|#####\r", ("", "INFO", "own", "100%|#####", {})),
    "colours": (b"\x1b[31mred\x1b[0m", ("", "INFO", "own", "red", {})),
    "not UTF-8": (b"caf\xe9", ("", "INFO", "own", "caf\ufffd", {})),
    "empty": (b"", ("", "INFO", "own", "", {})),
}


@pytest.mark.parametrize(("raw", "expected"), LINES.values(), ids=LINES.keys())
def test_parse(raw: bytes, expected: tuple[str, str, str, str, dict[str, object]]) -> None:
    line = job_log.parse(raw, 7, "own")
    assert (line.time, line.level, line.step, line.message, line.fields) == expected
    assert line.number == 7


@pytest.mark.parametrize("text", ["x" * 100_000, "ä" * 100_000, json.dumps({"message": "x" * 20_000, "fields": {"a": "b"}})])
def test_a_line_is_cut_at_8_kb(tmp_path: Path, text: str) -> None:
    (tmp_path / "log").write_text(f"first\n{text}\nlast\n")
    lines = job_log.JobLog(tmp_path / "log", "own").read(0, has_ended=False)
    assert [line.message for line in lines][::2] == ["first", "last"]
    assert 8000 < len(lines[1].message.encode()) <= job_log.LONGEST_LINE_BYTES
    assert lines[1].fields == {}


def test_of_a_long_progress_bar_the_end_is_kept(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"{number} of 50000\r" for number in range(50_001)) + "\n")
    [line] = job_log.JobLog(tmp_path / "log", "own").read(0, has_ended=False)
    assert line.message == "50000 of 50000"


def test_a_line_still_being_written_waits_for_its_end(tmp_path: Path) -> None:
    log = job_log.JobLog(tmp_path / "log", "own")
    assert log.read(0, has_ended=False) == []
    (tmp_path / "log").write_text("one\ntw")
    assert [line.message for line in log.read(0, has_ended=False)] == ["one"]
    assert [line.message for line in log.read(0, has_ended=True)] == ["one", "tw"]
    (tmp_path / "log").write_text("one\ntwo\n")
    assert [(line.number, line.message) for line in log.read(1, has_ended=False)] == [(2, "two")]


@pytest.mark.parametrize("after", [0, 1, 199, 200, 201, 399, 400, 950, 999, 1000, 5000])
def test_reading_on_gives_what_reading_from_the_start_gives(tmp_path: Path, after: int) -> None:
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(1, 1001)))
    log = job_log.JobLog(tmp_path / "log", "own")
    whole = log.read(0, has_ended=False)
    assert [line.number for line in whole] == list(range(1, 1001))
    assert log.read(after, has_ended=False) == whole[after:]
    assert log.read(after, has_ended=False) == job_log.JobLog(tmp_path / "log", "own").read(after, has_ended=False)


def test_reading_on_does_not_read_what_was_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(1, 1001)))
    log = job_log.JobLog(tmp_path / "log", "own")
    log.read(0, has_ended=False)
    spoiled = (tmp_path / "log").read_text().replace("line 1\nline 2\n", "line 1 line 2\n")
    (tmp_path / "log").write_text(spoiled)
    assert [line.message for line in log.read(998, has_ended=False)] == ["line 999", "line 1000"]


LAST_WORDS = {
    "nothing": ("", ""),
    "a logged error": ('{"level": "ERROR", "message": "no data"}\nBye\n', "no data"),
    "a stack trace": ('Traceback (most recent call last):\n  File "x.py"\nValueError: bad value\n\n', "ValueError: bad value"),
    "no end of line": ("Killed", "Killed"),
}


@pytest.mark.parametrize(("text", "expected"), LAST_WORDS.values(), ids=LAST_WORDS.keys())
def test_last_words(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "log").write_text(text)
    assert job_log.JobLog(tmp_path / "log", "own").last_words() == expected
