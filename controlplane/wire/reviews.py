"""What people say about an evaluation's answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from controlplane.wire.body import Body
from controlplane.wire.verdicts import Interval


class GradeCorrection(Body):
    """The grade that one role's answer to a row deserves; an empty one takes back an earlier one. `evaluation_run`: as in `Vote`."""

    row_id: str
    role: Literal["candidate", "live"]
    grade: Literal["A", "B", "C", ""]
    evaluation_run: str = ""


class GradeRecord(Body):
    """As it counts now: one a person and answer."""

    at: datetime
    actor: str
    correction: GradeCorrection


class Preference(Body):
    """Rows by what most of their voters chose; `net` is candidate minus live as a fraction of one."""

    rows: int
    candidate: int
    live: int
    tie: int
    both_bad: int
    net: float | None
    interval: Interval | None


class Agreement(Body):
    """`items` rated by two or more; the share of agreeing pairs, and Krippendorff's alpha where it is known."""

    items: int
    observed: float | None
    alpha: float | None


class Review(Body):
    """What people say about the evaluation of one version. `rows` have both sides' answers; `different` of them differ."""

    model: str
    version: int
    mlflow_run: str
    judge: str
    rows: int
    different: int
    reviewers: tuple[str, ...]
    preference: Preference
    between_people: Agreement
    people_and_judge: Agreement
    grades: int
    grades_and_judge: Agreement
    golden_rows: int


class ExportedVote(Body):
    """A vote as it leaves the house. It `counts` unless the same person changed or withdrew it later; answers are empty when not known."""

    id: int
    at: datetime
    actor: str
    model: str
    candidate_version: int | None
    live_version: int | None
    choice: str
    counts: bool
    left: str
    comment: str
    evaluation_run: str
    row_id: str
    prompt: str
    context: str = ""
    reference: str = ""
    candidate_answer: str = ""
    live_answer: str = ""


class GoldenRow(Body):
    """An answer whose right grade people agree on; `source` names them."""

    id: str
    question: str
    context: str
    reference: str
    answerable: bool
    answer: str
    grade: Literal["A", "B", "C"]
    kind: Literal["reviewed"] = "reviewed"
    source: str
