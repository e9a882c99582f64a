"""The arguments by which Gate 1 decides, as its jobs share them. It decides nothing."""

from __future__ import annotations

import argparse

from controlplane.core import errors, evidence, gates, sequential, workflows
from jobs import job


def add_arguments(parser: argparse.ArgumentParser) -> None:
    own = gates.AnswerThresholds()
    parser.add_argument(
        "--reading", choices=workflows.READINGS, default="pointwise", help="grades of each answer, or preferences between two, decide"
    )
    parser.add_argument("--min-a-rate", type=float, default=own.min_a_rate, help="lowest share of correct answers (first deploy)")
    parser.add_argument("--max-c-rate", type=float, default=own.max_c_rate, help="highest share of wrong answers (first deploy)")
    parser.add_argument("--min-refusal-rate", type=float, default=own.min_refusal_rate, help="lowest share of unanswerable refused")
    parser.add_argument(
        "--rules", choices=tuple(evidence.RuleSet), default=evidence.RuleSet.INTERVAL, help="which rules decide; both are computed"
    )
    parser.add_argument("--margin", type=float, default=own.margin, help="how much worse than live is no worse (interval rules)")
    parser.add_argument("--level", type=float, default=own.level, help="level of the confidence intervals (interval rules)")
    parser.add_argument(
        "--looks", type=job.positive_integer, default=1, help="in how many looks the judge may come to an early end (interval rules)"
    )


def thresholds(arguments: argparse.Namespace) -> gates.AnswerThresholds:
    """Raises InvalidInput, also for looks that these rules do not take."""
    if arguments.looks > 1 and arguments.rules != evidence.RuleSet.INTERVAL:
        raise errors.InvalidInput(f"looks={arguments.looks} needs the interval rules.", hint="Say rules=interval, or looks=1.")
    if arguments.looks > 1 and arguments.reading != "pointwise":
        raise errors.InvalidInput(f"looks={arguments.looks} needs the pointwise reading.", hint="Say reading=pointwise, or looks=1.")
    sequential.look_sizes(1, arguments.looks)
    return gates.AnswerThresholds(arguments.min_a_rate, arguments.max_c_rate, arguments.min_refusal_rate, arguments.margin, arguments.level)
