"""Gate 0: named cases of its rule."""

from __future__ import annotations

import math

import pytest

from controlplane.core import errors, evidence, quality

LIMITS = quality.Limits()
PASS, FAIL, INCONCLUSIVE = evidence.Outcome.PASS, evidence.Outcome.FAIL, evidence.Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("metrics", "outcome"),
    [
        ({"final_eval_loss": 0.2, "final_perplexity": 1.22}, PASS),
        ({"final_eval_loss": 1.0, "final_perplexity": 2.0}, PASS),
        ({"final_eval_loss": 1.01, "final_perplexity": 1.9}, FAIL),
        ({"final_eval_loss": 0.9, "final_perplexity": 2.46}, FAIL),
        ({"final_eval_loss": 0.2}, INCONCLUSIVE),
        ({}, INCONCLUSIVE),
        ({"final_eval_loss": math.nan, "final_perplexity": 1.2}, INCONCLUSIVE),
        ({"final_eval_loss": math.inf, "final_perplexity": math.inf}, INCONCLUSIVE),
        ({"final_eval_loss": math.nan, "final_perplexity": 9.0}, FAIL),
    ],
    ids=["good", "on the limit", "loss", "perplexity", "one missing", "none", "nan", "infinite", "nan but failed"],
)
def test_gate_zero(metrics: dict[str, float], outcome: evidence.Outcome) -> None:
    verdict = quality.decide(metrics, LIMITS)
    assert verdict.outcome is outcome
    assert verdict.gate is evidence.Gate.QUALITY
    assert verdict.reason


@pytest.mark.parametrize(
    "limits",
    [
        quality.Limits(max_eval_loss=0),
        quality.Limits(max_eval_loss=math.nan),
        quality.Limits(max_perplexity=0.9),
        quality.Limits(max_perplexity=math.inf),
    ],
)
def test_limits_out_of_range_are_refused(limits: quality.Limits) -> None:
    with pytest.raises(errors.InvalidInput, match="out of range"):
        quality.check_limits(limits)
