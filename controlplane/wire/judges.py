"""How far a judge agrees with the golden set."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from controlplane.wire.body import Body
from controlplane.wire.verdicts import Interval


class KindAgreement(Body):
    """Of `rows` answers of this kind the judge graded `agreed` as they should be."""

    kind: str
    rows: int
    agreed: int


class Disagreement(Body):
    """A row that the judge graded otherwise than it should; `given` is A, B, C or empty (unscored), `reason` the judge's own."""

    id: str
    kind: str
    source: str
    question: str
    context: str
    reference: str
    answer: str
    grade: str
    given: str
    reason: str


class Calibration(Body):
    """A judge's agreement with trusted grades. `refusal` says why its grades do not count, empty when they do; `kappa` None: undefined.

    `warnings` name the kinds of answers that it mostly grades wrong, whatever its kappa.
    `confusion` maps the trusted grade to the given one (A, B, C, unscored) to a count. `at` is None while it is not recorded.
    """

    judge: str
    rows: int
    unscored: int
    agreement: float
    kappa: float | None
    interval: Interval | None
    min_kappa: float
    refusal: str
    confusion: Mapping[str, Mapping[str, int]]
    kinds: tuple[KindAgreement, ...]
    disagreements: tuple[Disagreement, ...]
    warnings: tuple[str, ...] = ()
    identity: str = ""
    golden_digest: str = ""
    prompt_digest: str = ""
    mlflow_run: str = ""
    at: datetime | None = None
