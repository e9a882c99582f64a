"""How often something came in simulated trials, with bounds."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True)
class Share:
    """`part` of `whole`, with one-sided 95% bounds (Clopper and Pearson 1934, Biometrika 26:404)."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        return self.part / self.whole

    @property
    def low(self) -> float:
        return float(stats.binomtest(self.part, self.whole, alternative="greater").proportion_ci(0.95, method="exact").low)

    @property
    def high(self) -> float:
        return float(stats.binomtest(self.part, self.whole, alternative="less").proportion_ci(0.95, method="exact").high)
