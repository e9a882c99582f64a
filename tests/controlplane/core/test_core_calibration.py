"""Golden rows and the faults in them, a judge's agreement with them, and when its grades count."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

import pytest

from controlplane.core import calibration, errors, judge_trust, judging

ROW = {
    "id": "r1",
    "question": "Which port?",
    "context": "ssh listens on 22.",
    "reference": "22",
    "answerable": True,
    "answer": "22",
    "grade": "A",
    "kind": "exact",
    "source": "constructed",
}


def golden(letters: str, kind: str = "exact") -> list[calibration.GoldenRow]:
    return [calibration.GoldenRow(**{**ROW, "id": f"{kind}-{n}", "grade": letter, "kind": kind}) for n, letter in enumerate(letters)]


def grades(rows: Sequence[calibration.GoldenRow], letters: str) -> dict[str, judging.Grade]:
    """A dot is a reply without a grade."""
    return {row.id: judging.Grade(letter.strip("."), f"said {letter}") for row, letter in zip(rows, letters, strict=True)}


def measured(trusted: str, given: str) -> calibration.Calibration:
    rows = golden(trusted)
    return calibration.measure("judge x", rows, grades(rows, given))


def test_rows_are_read_as_they_were_written() -> None:
    rows = [calibration.GoldenRow(**{**ROW, "answer": "22\u2028and {“more”}", "context": ""})]
    assert calibration.parse(calibration.to_jsonl(rows) + "\n", "g.jsonl") == rows
    assert rows[0].row.answer == "22"


@pytest.mark.parametrize(
    ("name", "lines", "words"),
    [
        ("bad JSON", ["{"], "g.jsonl line 1 is not JSON"),
        ("no object", ["[]"], "g.jsonl line 1 is not a JSON object"),
        ("missing field", [ROW, {k: v for k, v in ROW.items() if k != "kind"}], "g.jsonl line 2 lacks the field 'kind'"),
        ("unknown grade", [{**ROW, "grade": "D"}], "g.jsonl line 1: field 'grade' is 'D'. Write one of A, B, C."),
        ("small letter", [{**ROW, "grade": "a"}], "field 'grade' is 'a'"),
        ("duplicate id", [ROW, {**ROW, "id": "r2"}, ROW], "g.jsonl line 3: field 'id': 'r1' was used in line 1"),
        ("empty answer", [{**ROW, "answer": " "}], "g.jsonl line 1: field 'answer' is empty"),
        ("number for text", [{**ROW, "answer": 22}], "g.jsonl line 1: field 'answer' must be text"),
        ("text for a flag", [{**ROW, "answerable": "yes"}], "field 'answerable' must be true or false"),
        ("no rows", ["", " "], "g.jsonl has no rows"),
    ],
)
def test_a_fault_names_file_line_and_field(name: str, lines: Sequence[str | Mapping[str, object]], words: str) -> None:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    with pytest.raises(errors.InvalidInput) as fault:
        calibration.parse(text, "g.jsonl")
    assert words in str(fault.value), name


def test_the_confusion_table_counts_unscored_as_a_disagreement() -> None:
    found = measured("AAABBC", "AB.BBA")
    assert found.confusion == {
        "A": {"A": 1, "B": 1, "C": 0, "unscored": 1},
        "B": {"A": 0, "B": 2, "C": 0, "unscored": 0},
        "C": {"A": 1, "B": 0, "C": 0, "unscored": 0},
    }
    assert (found.rows, found.unscored, found.agreement) == (6, 1, 0.5)
    assert [(one.row.id, one.row.grade, one.given, one.reason) for one in found.disagreements] == [
        ("exact-1", "A", "B", "said B"),
        ("exact-2", "A", "", "said ."),
        ("exact-5", "C", "A", "said A"),
    ]


def test_a_row_nobody_graded_is_unscored() -> None:
    found = calibration.measure("judge x", golden("ABC"), {})
    assert (found.unscored, found.kappa) == (3, 0)


def test_kinds_are_counted_apart() -> None:
    rows = golden("AAC") + golden("CC", "adversarial")
    found = calibration.measure("judge x", rows, grades(rows, "AACAA"))
    assert found.kinds == (judge_trust.KindAgreement("exact", 3, 3), judge_trust.KindAgreement("adversarial", 2, 0))
    assert calibration.warnings(found) == ("The judge x grades 0 of 2 adversarial answers right: read such answers yourself.",)


def test_no_golden_rows_is_said() -> None:
    with pytest.raises(errors.InvalidInput, match="no rows"):
        calibration.measure("judge x", [], {})


@pytest.mark.parametrize(
    ("name", "trusted", "given", "min_kappa", "words"),
    [
        ("agrees", "ABC" * 12, "ABC" * 12, 0.6, ""),
        ("agrees mostly", "ABC" * 12, "ABC" * 10 + "AABACC", 0.6, ""),
        ("agrees, but more is asked", "ABC" * 12, "ABC" * 10 + "AABACC", 0.95, "at least 0.95 is required"),
        ("always A", "ABC" * 12, "A" * 36, 0.6, "kappa of 0.00 (95% interval"),
        ("never a grade", "ABC" * 12, "." * 36, 0.6, "kappa of 0.00 (95% interval"),
        ("always wrong", "ABC" * 12, "BCA" * 12, 0.6, "kappa of -0.50"),
        ("undefined", "A" * 36, "A" * 36, 0.6, "is the same letter"),
        ("undefined counts even where nothing is asked", "A" * 36, "A" * 36, -1.0, "is the same letter"),
        ("too few rows", "ABC" * 9, "ABC" * 9, 0.6, "27 trusted grades only; at least 30"),
    ],
)
def test_trust(name: str, trusted: str, given: str, min_kappa: float, words: str) -> None:
    reason = calibration.trust(measured(trusted, given), min_kappa)
    assert (words in reason) if words else reason == "", f"{name}: {reason}"


def test_exactly_the_required_kappa_is_enough() -> None:
    found = dataclasses.replace(measured("ABC" * 12, "ABC" * 12), kappa=0.6)
    assert calibration.trust(found) == ""


@pytest.mark.parametrize("given", ["AB.BBA", "AAABBC"])
def test_a_calibration_is_read_back_as_it_was(given: str) -> None:
    found = measured("AAABBC", given)
    assert calibration.from_dict(json.loads(json.dumps({**calibration.to_dict(found), "later": 1}))) == found


def test_an_undefined_kappa_is_read_back() -> None:
    found = measured("AAA", "AAA")
    assert (found.kappa, found.interval) == (None, None)
    assert calibration.from_dict(json.loads(json.dumps(calibration.to_dict(found)))) == found


@pytest.mark.parametrize("value", [{}, {"judge": "x"}, {**calibration.to_dict(measured("ABC", "ABC")), "rows": "many"}])
def test_what_is_no_calibration_is_said(value: Mapping[str, object]) -> None:
    with pytest.raises(errors.InvalidInput, match="cannot be read"):
        calibration.from_dict(value)


def test_another_wording_is_another_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    before = calibration.prompt_digest()
    assert before == calibration.prompt_digest()
    monkeypatch.setattr(judging, "SYSTEM", f"{judging.SYSTEM} Be strict.")
    assert calibration.prompt_digest() != before
