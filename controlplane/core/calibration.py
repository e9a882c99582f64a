"""Whether a judge's grades count: its agreement with grades that are known to be right. Pure; it asks no judge and opens no file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from controlplane.core import agreement, datasets, errors, evidence, judge_trust, judging

MIN_KAPPA = judge_trust.MIN_KAPPA
CONSTRUCTED = "constructed"
UNSCORED = "unscored"
FIELDS = {
    **{"id": str, "question": str, "context": str, "reference": str, "answerable": bool},
    **{"answer": str, "grade": str, "kind": str, "source": str},
}
_GIVEN = (*judging.LETTERS, UNSCORED)


@dataclass(frozen=True)
class GoldenRow:
    """An answer whose right `grade` is known. `source` is `constructed`, or the name of the reviewer who graded it."""

    id: str
    question: str
    context: str
    reference: str
    answerable: bool
    answer: str
    grade: str
    kind: str
    source: str

    @property
    def row(self) -> datasets.Row:
        return datasets.Row(self.id, self.question, self.context, self.reference, self.answerable)


@dataclass(frozen=True)
class Disagreement:
    """A row that the judge graded otherwise; `given` is empty when its reply held no grade, `reason` is the judge's own."""

    row: GoldenRow
    given: str
    reason: str


@dataclass(frozen=True)
class Calibration:
    """`confusion` maps the trusted grade to the given one (A, B, C or unscored) to a count. `kappa` is None where it is undefined."""

    judge: str
    rows: int
    unscored: int
    agreement: float
    kappa: float | None
    interval: evidence.Interval | None
    confusion: Mapping[str, Mapping[str, int]]
    kinds: tuple[judge_trust.KindAgreement, ...]
    disagreements: tuple[Disagreement, ...]


def parse(text: str, file: str) -> list[GoldenRow]:
    """All rows of a JSONL text.

    Raises:
        InvalidInput: naming file, line and field of the first fault, or that there is no row.
    """
    # Not splitlines(): an answer may hold characters such as U+2028, which JSON leaves as they are.
    rows = list(_rows(text.split("\n"), file))
    if not rows:
        raise errors.InvalidInput(f"{file} has no rows.", hint=f"Each line is one JSON object with {', '.join(FIELDS)}.")
    return rows


def to_jsonl(rows: Iterable[GoldenRow]) -> str:
    return "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)


def measure(judge: str, golden: Sequence[GoldenRow], given: Mapping[str, judging.Grade], level: float = 0.95) -> Calibration:
    """The agreement of the grades given, by row id, with the trusted ones. A row without a grade counts as a disagreement.

    Raises:
        InvalidInput: there is no golden row.
    """
    if not golden:
        raise errors.InvalidInput("The golden set has no rows.", hint="Give a file with rows, or use the one that is shipped.")
    pairs = [(row, given.get(row.id, judging.Grade("", "It gave no grade."))) for row in golden]
    confusion = _confusion(pairs)
    found = agreement.kappa([[confusion.get(trusted, {}).get(letter, 0) for letter in _GIVEN] for trusted in _GIVEN], level)
    agreed = sum(row.grade == grade.letter for row, grade in pairs)
    return Calibration(
        judge=judge,
        rows=len(pairs),
        unscored=sum(counts[UNSCORED] for counts in confusion.values()),
        agreement=agreed / len(pairs),
        kappa=found.value if found else None,
        interval=found.interval if found else None,
        confusion=confusion,
        kinds=tuple(_kind(kind, pairs) for kind in dict.fromkeys(row.kind for row in golden)),
        disagreements=tuple(Disagreement(row, grade.letter, grade.reason) for row, grade in pairs if row.grade != grade.letter),
    )


def trust(calibration: Calibration, min_kappa: float = MIN_KAPPA) -> str:
    """Why this judge's grades do not count; empty when they do."""
    return judge_trust.refusal(calibration.judge, calibration.rows, calibration.kappa, calibration.interval, min_kappa)


def warnings(calibration: Calibration) -> tuple[str, ...]:
    """Kinds of answers that the judge mostly grades wrong."""
    return judge_trust.warnings(calibration.judge, calibration.kinds)


def shown(calibration: Calibration) -> str:
    """`kappa of 0.91 (95% interval 0.86 to 0.96)`."""
    return judge_trust.shown(calibration.kappa, calibration.interval)


def prompt_digest() -> str:
    """SHA-256 over the judge's wording: another one makes another judge, which must be measured anew."""
    question = judging.messages(datasets.Row("id", "question", "context", "reference", True), "answer")
    refusal = judging.messages(datasets.Row("id", "question", "context", "reference", False), "answer")
    return hashlib.sha256(json.dumps([question, refusal, judging.REPLY_SCHEMA], sort_keys=True).encode()).hexdigest()


def to_dict(calibration: Calibration) -> dict[str, object]:
    """The calibration as JSON values; `from_dict` reads it back to an equal one."""
    return asdict(calibration)


def from_dict(value: Mapping[str, Any]) -> Calibration:
    """The calibration that `to_dict` wrote; fields it does not know are left out.

    Raises:
        InvalidInput: it is not one.
    """
    try:
        return Calibration(
            judge=str(value["judge"]),
            rows=int(value["rows"]),
            unscored=int(value["unscored"]),
            agreement=float(value["agreement"]),
            kappa=None if value["kappa"] is None else float(value["kappa"]),
            interval=None if value["interval"] is None else evidence.Interval(**value["interval"]),
            confusion={trusted: dict(counts) for trusted, counts in value["confusion"].items()},
            kinds=tuple(judge_trust.KindAgreement(**kind) for kind in value["kinds"]),
            disagreements=tuple(
                Disagreement(GoldenRow(**one["row"]), str(one["given"]), str(one["reason"])) for one in value["disagreements"]
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise errors.InvalidInput(f"The stored calibration cannot be read: {fault!r}.", hint="Run `gatewright judge calibrate`.") from fault


def _confusion(pairs: Sequence[tuple[GoldenRow, judging.Grade]]) -> dict[str, dict[str, int]]:
    counts = {trusted: dict.fromkeys(_GIVEN, 0) for trusted in judging.LETTERS}
    for row, grade in pairs:
        counts[row.grade][grade.letter or UNSCORED] += 1
    return counts


def _kind(kind: str, pairs: Sequence[tuple[GoldenRow, judging.Grade]]) -> judge_trust.KindAgreement:
    mine = [(row, grade) for row, grade in pairs if row.kind == kind]
    return judge_trust.KindAgreement(kind, len(mine), sum(row.grade == grade.letter for row, grade in mine))


def _rows(lines: Iterable[str], file: str) -> Iterator[GoldenRow]:
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _row(line, f"{file} line {number}")
        if row.id in seen:
            hint = "Give each row its own id."
            raise errors.InvalidInput(f"{file} line {number}: field 'id': {row.id!r} was used in line {seen[row.id]}.", hint=hint)
        seen[row.id] = number
        yield row


def _row(line: str, place: str) -> GoldenRow:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        hint = "Each line is one JSON object."
        raise errors.InvalidInput(f"{place} is not JSON: {error.msg} at column {error.colno}.", hint=hint) from None
    if not isinstance(value, dict):
        raise errors.InvalidInput(f"{place} is not a JSON object.", hint="Each line is one JSON object.")
    for field, kind in FIELDS.items():
        _check_field(value, field, kind, place)
    if value["grade"] not in judging.LETTERS:
        raise errors.InvalidInput(f"{place}: field 'grade' is {value['grade']!r}.", hint=f"Write one of {', '.join(judging.LETTERS)}.")
    return GoldenRow(**{field: value[field] for field in FIELDS})


def _check_field(value: Mapping[str, object], field: str, kind: type, place: str) -> None:
    if field not in value:
        raise errors.InvalidInput(f"{place} lacks the field {field!r}.", hint=f"A row has the fields {', '.join(FIELDS)}.")
    found = value[field]
    if not isinstance(found, kind):
        raise errors.InvalidInput(f"{place}: field {field!r} must be {'true or false' if kind is bool else 'text'}.")
    if isinstance(found, str) and field != "context" and not found.strip():
        raise errors.InvalidInput(f"{place}: field {field!r} is empty.", hint="Fill it in or drop the row.")
