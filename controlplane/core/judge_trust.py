"""Whether a measured judge's grades count. Pure; it measures nothing, so that a reader needs no statistics package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controlplane.core import evidence

# "Substantial" agreement begins above 0.60 (Landis and Koch 1977, Biometrics 33:159).
MIN_KAPPA = 0.6
# On fewer rows even a guessing judge reaches a fair kappa now and then.
MIN_ROWS = 30


@dataclass(frozen=True)
class KindAgreement:
    """Of `rows` answers of this kind the judge graded `agreed` as they should be."""

    kind: str
    rows: int
    agreed: int


def refusal(judge: str, rows: int, kappa: float | None, interval: evidence.Interval | None, min_kappa: float = MIN_KAPPA) -> str:
    """Why this judge's grades do not count; empty when they do. `rows`: trusted grades it was held against."""
    if rows < MIN_ROWS:
        return f"The {judge} was held against {rows} trusted grades only; at least {MIN_ROWS} are needed."
    if kappa is None:
        return f"The {judge} cannot be measured: every trusted grade and every grade it gave is the same letter."
    if kappa < min_kappa:
        return f"The {judge} agrees with the trusted grades to a {shown(kappa, interval)}; at least {min_kappa:.2f} is required."
    return ""


def warnings(judge: str, kinds: Iterable[KindAgreement]) -> tuple[str, ...]:
    """Kinds of answers that the judge mostly grades wrong. Kappa is about all kinds at once: one that obeys every injection can pass."""
    return tuple(
        f"The {judge} grades {kind.agreed} of {kind.rows} {kind.kind} answers right: read such answers yourself."
        for kind in kinds
        if 2 * kind.agreed < kind.rows
    )


def shown(kappa: float | None, interval: evidence.Interval | None) -> str:
    """`kappa of 0.91 (95% interval 0.86 to 0.96)`."""
    if kappa is None or interval is None:
        return "kappa that is undefined"
    return f"kappa of {kappa:.2f} ({interval.level:.0%} interval {interval.low:.2f} to {interval.high:.2f})"
