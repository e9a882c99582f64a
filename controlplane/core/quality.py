"""Gate 0: may a trained adapter become a candidate? The rule on its eval loss and perplexity. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.core import errors, evidence

EVAL_LOSS = "final_eval_loss"
PERPLEXITY = "final_perplexity"


@dataclass(frozen=True)
class Limits:
    """Eval loss in nats per answer token; perplexity is its exponential."""

    max_eval_loss: float = 1.0
    max_perplexity: float = 2.0


def check_limits(limits: Limits) -> Limits:
    """The limits themselves. Raises InvalidInput when they can never decide anything."""
    if not 0 < limits.max_eval_loss < float("inf"):
        raise errors.InvalidInput(f"max-eval-loss={limits.max_eval_loss} is out of range.", hint="It must be above 0; the default is 1.0.")
    if not 1 <= limits.max_perplexity < float("inf"):
        raise errors.InvalidInput(
            f"max-perplexity={limits.max_perplexity} is out of range.", hint="It must be at least 1; the default is 2.0."
        )
    return limits


def decide(metrics: Mapping[str, float], limits: Limits) -> evidence.Verdict:
    """The verdict on a training run's final metrics; a missing or non-finite one is inconclusive."""
    checks = (
        evidence.check("eval loss", metrics.get(EVAL_LOSS), "<=", limits.max_eval_loss, ""),
        evidence.check("perplexity", metrics.get(PERPLEXITY), "<=", limits.max_perplexity, ""),
    )
    return evidence.combine(evidence.Gate.QUALITY, evidence.RuleSet.POINT, checks)
