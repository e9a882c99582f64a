"""Gate 1: graded and compared answers, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from controlplane.wire.body import Body
from controlplane.wire.verdicts import Check, Interval, OtherVerdict, Verdict


class GradedAnswer(Body):
    """One eval row as one role answered it. `grade` is A, B, C or empty (unscored).

    `votes`: one letter a judge when several graded. `is_judged` is false where judging ended before its turn: the verdict stood.
    """

    id: str
    role: str
    question: str
    context: str
    reference: str
    answerable: bool
    answer: str
    grade: str
    reason: str
    is_refusal: bool
    latency_seconds: float | None = None
    votes: str = ""
    is_judged: bool = True


class ComparedRow(Body):
    """Which answer to one eval row is better: `candidate`, `live` or `tie`, asked in both orders; empty when it could not be read.

    `winner` is a tie where the orders disagree. Lengths are in characters.
    """

    id: str
    candidate_first: str
    live_first: str
    winner: str
    reason: str
    candidate_length: int
    live_length: int


class Pairwise(Body):
    """All comparisons together; rates are fractions of one. `net` is wins less losses over all rows that could be read.

    `asked` of the rows a judge was asked about (equal answers tie unasked), `consistency`: of those both orders agreed; `first_share`: who
    stood first was preferred, where they did not. `mean_length_difference`: candidate minus live; `winner_excess`: winner minus loser; both
    in characters. `cautions` say what to bear in mind.
    """

    rows: int
    wins: int
    losses: int
    ties: int
    unread: int
    net: float | None
    interval: Interval | None
    asked: int
    consistency: float | None
    first_share: float | None
    mean_length_difference: float | None
    winner_excess: float | None
    cautions: tuple[str, ...] = ()


class Difference(Body):
    """Candidate minus live. `reading` is pointwise or pairwise; `decides`: the check is part of the verdict."""

    check: Check
    reading: str
    decides: bool


class JudgeTrust(Body):
    """The judge's agreement with `rows` trusted grades, measured before it graded. `refusal` says why its grades do not count."""

    judge: str
    rows: int
    kappa: float | None
    interval: Interval | None
    min_kappa: float
    refusal: str
    warnings: tuple[str, ...] = ()


class JudgesAgreement(Body):
    """Of several judges. `observed`: share of pairs of judges with the same grade; `kappa`: beyond chance."""

    judges: int
    observed: float
    kappa: float | None


class EvalData(Body):
    """The eval set that was asked. `columns` maps each name to its type."""

    name: str
    source: str
    digest: str
    rows: int
    columns: Mapping[str, str]


class Evaluation(Body):
    """Gate 1 of one version. Of `asked` eval rows the judge saw `judged` before the verdict stood.

    An evaluation by an older version of Gatewright, or without live, lacks what is empty or None.
    """

    model: str
    version: int
    mlflow_run: str
    at: datetime
    judge: str
    verdict: Verdict
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    rows: tuple[GradedAnswer, ...]
    asked: int = 0
    judged: int = 0
    reading: str = "pointwise"
    others: tuple[OtherVerdict, ...] = ()
    differences: tuple[Difference, ...] = ()
    comparisons: tuple[ComparedRow, ...] = ()
    pairwise: Pairwise | None = None
    trust: JudgeTrust | None = None
    agreement: JudgesAgreement | None = None
    dataset: EvalData | None = None
    judge_identity: str = ""
    judge_prompt_digest: str = ""
