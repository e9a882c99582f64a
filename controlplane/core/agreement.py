"""How far two graders agree beyond chance: Cohen's kappa with its confidence interval. Pure; it knows no judge and no grade's meaning."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy
import scipy

from controlplane.core import evidence

# Below this the estimated standard error is rounding noise of a variance that is zero.
NO_SPREAD = 1e-6


@dataclass(frozen=True)
class Kappa:
    value: float
    interval: evidence.Interval


def kappa(counts: Sequence[Sequence[int]], level: float = 0.95) -> Kappa | None:
    """Of a square table, one grader in rows, the other in columns (Cohen 1960, Educ. Psychol. Meas. 20:37).

    The interval is normal, with the standard error of Fleiss, Cohen and Everitt (1969, Psychol. Bull. 72:323). Where that is zero, as with
    graders who never disagree, it would have no width; there it is Wilson's interval of the raw agreement, put on kappa's scale.
    None where kappa is undefined: no counts, or everything in one and the same category.
    """
    table = numpy.asarray(counts, float)
    total = float(table.sum())
    expected = float(table.sum(0) @ table.sum(1)) / total**2 if total else 1.0
    if 1 - expected < NO_SPREAD:
        return None
    with numpy.errstate(invalid="ignore", divide="ignore"):
        found = _inter_rater().cohens_kappa(table)
    value, spread = float(found.kappa), float(found.std_kappa)
    if spread > NO_SPREAD:
        low, high = scipy.stats.norm.interval(level, value, spread)
    else:
        raw = scipy.stats.binomtest(round(table.trace()), round(total)).proportion_ci(level, method="wilson")
        low, high = ((bound - expected) / (1 - expected) for bound in (raw.low, raw.high))
    return Kappa(value, evidence.Interval(max(-1.0, float(low)), min(1.0, float(high)), level))


def load() -> None:
    """What `kappa` would wait for: a job may do so while it waits for something else."""
    _inter_rater()


def _inter_rater() -> ModuleType:
    """Loaded when it is needed: with pandas and scipy's statistics it takes more than a second."""
    return importlib.import_module("statsmodels.stats.inter_rater")
