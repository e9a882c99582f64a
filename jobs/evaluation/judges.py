"""The judges that a job's arguments name, each behind the cache of what it found before. It grades nothing itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from controlplane import ports, settings
from controlplane.clients import grade_cache, judge_panel, openai_judge
from controlplane.core import errors, independence, reference_judge, workflows
from jobs import job


@dataclass(frozen=True)
class Chosen:
    """`identity` is everything about the judge that may change a finding, besides the question.

    `asked`: the models behind it; `caches`: what stands before each and may know the answer already.
    """

    judge: ports.Judge
    identity: str
    asked: tuple[openai_judge.OpenAiJudge, ...] = ()
    caches: tuple[grade_cache.CachedJudge, ...] = ()

    @property
    def known(self) -> int:
        """How many findings were not asked for again."""
        return sum(cache.hits for cache in self.caches)


def choose(arguments: argparse.Namespace, tested_urls: Sequence[str] = (), tested_names: Sequence[str] = ()) -> Chosen:
    """One judge, or the majority of several.

    Args:
        tested_urls, tested_names: servers and slots under test, which must not judge themselves.

    Raises:
        InvalidInput: the judge llm has no address, or as many models as addresses are not named.
        Refused: a judge is the model under test.
        Unreachable, NotFound: nobody judges there.
    """
    if arguments.judge == "reference":
        return Chosen(reference_judge.ReferenceJudge(), reference_judge.NAME)
    asked = tuple(openai_judge.OpenAiJudge(url, model) for url, model in _places(arguments.judge_url, arguments.judge_model))
    if not arguments.allow_self_judging:
        for judge in asked:
            _require_independent(judge, tested_urls, tested_names)
    identity = " + ".join(judge.identity for judge in asked)
    caches = tuple(_cached(judge) for judge in asked) if arguments.cache else ()
    judges: Sequence[ports.Judge] = caches or asked
    return Chosen(judges[0] if len(judges) == 1 else judge_panel.JudgePanel(judges), identity, asked, caches)


def _places(urls: str, models: str) -> list[tuple[str, str]]:
    """(address, model) of each judge: one address for all models, or one each."""
    addresses, names = _listed(urls), _listed(models)
    if not addresses:
        raise errors.InvalidInput("The judge llm needs --judge-url.", hint="Give the judge's address, or use --judge=reference.")
    if len(addresses) == 1 and names:
        return [(addresses[0], name) for name in names]
    if names and len(names) != len(addresses):
        raise errors.InvalidInput(
            f"{len(addresses)} judge addresses and {len(names)} judge models do not match.",
            hint="Name one address for all models, or as many of each.",
        )
    return list(zip(addresses, names or [""] * len(addresses), strict=True))


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _require_independent(judge: openai_judge.OpenAiJudge, tested_urls: Sequence[str], tested_names: Sequence[str]) -> None:
    reason = independence.conflict(judge.address, judge.listed(), tested_urls, tested_names)
    if reason:
        raise errors.Refused(reason, hint="Name another judge, or say allow-self-judging=true to let it.")


def _cached(judge: openai_judge.OpenAiJudge) -> grade_cache.CachedJudge:
    return grade_cache.CachedJudge(judge, judge.identity, settings.load().home / "cache" / "grades.db")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--judge", choices=workflows.JUDGES, default="llm", help="llm: a model grades; reference: deterministic")
    parser.add_argument(
        "--judge-url", default="http://judge-vllm-service.ml-models:8000", help="judge servers (OpenAI-compatible), separated by commas"
    )
    parser.add_argument(
        "--judge-model", default="", help="judge models, separated by commas; several vote; empty: the first the server lists"
    )
    parser.add_argument("--allow-self-judging", action="store_true", help="let the server under test grade itself")
    parser.add_argument(
        "--cache", action=argparse.BooleanOptionalAction, default=True, help="ask the llm judge nothing that it graded before"
    )
    parser.add_argument("--max-concurrent", type=job.positive_integer, default=15, help="requests in flight")
