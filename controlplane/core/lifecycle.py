"""The alias rules: from the aliases now to a plan (a list of changes) or a refusal with reasons. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from controlplane.core import errors


class Alias(StrEnum):
    CANDIDATE = "candidate"
    STAGED = "staged"
    EVAL_PASSED = "eval-passed"
    EVAL_FAILED = "eval-failed"
    PERF_PASSED = "perf-passed"
    PERF_FAILED = "perf-failed"
    LIVE = "live"
    PREVIOUS = "previous"


PROTECTED = (Alias.LIVE, Alias.PREVIOUS)
PROMOTABLE = (Alias.STAGED, Alias.EVAL_PASSED, Alias.PERF_PASSED)
CLEANED_ON_PROMOTE = (Alias.CANDIDATE, Alias.STAGED, Alias.EVAL_PASSED, Alias.PERF_PASSED, Alias.EVAL_FAILED, Alias.PERF_FAILED)
RIVAL = {
    Alias.EVAL_PASSED: Alias.EVAL_FAILED,
    Alias.EVAL_FAILED: Alias.EVAL_PASSED,
    Alias.PERF_PASSED: Alias.PERF_FAILED,
    Alias.PERF_FAILED: Alias.PERF_PASSED,
}

Aliases = Mapping[str, int]


@dataclass(frozen=True)
class AliasChange:
    """Point `alias` at `version`, or remove it when `version` is None."""

    alias: Alias
    version: int | None


@dataclass(frozen=True)
class Promotion:
    """What a promotion or rollback will do, in this order: serve first, `previous` next, then `live`, then clean up.

    `override` is the rule that it breaks because somebody said so; empty when it breaks none.
    """

    version: int
    replaces: int | None
    is_rollback: bool
    changes: tuple[AliasChange, ...]
    override: str = ""


def plan_alias(aliases: Aliases, alias: Alias, version: int) -> list[AliasChange]:
    """Give `version` an alias; a rival on the same version goes first, so that it never carries both."""
    rival = RIVAL.get(alias)
    removed = [AliasChange(rival, None)] if rival is not None and aliases.get(rival) == version else []
    return [*removed, AliasChange(alias, version)]


def plan_promotion(
    aliases: Aliases, source: Alias, required: Alias = Alias.PERF_PASSED, *, is_policy_overridden: bool = False
) -> Promotion:
    """Plan to make the version behind `source` live. `previous` as source is a rollback and needs no gate.

    Args:
        required: the policy; the lowest alias a promotion may start from.
        is_policy_overridden: go past the policy, and say so in the plan.

    Raises:
        Refused: the alias is not set, is not promotable, or ranks below the policy; the reason names the rule and the way there.
    """
    version = aliases.get(source)
    if source is Alias.PREVIOUS:
        return _plan_rollback(aliases)
    if source not in PROMOTABLE:
        raise errors.Refused(
            f"Promotion cannot start from {source!r}.", hint=f"Use one of: {', '.join(PROMOTABLE)}, or previous to roll back."
        )
    policy = f"The promotion policy asks for {required}, not {source}." if PROMOTABLE.index(source) < PROMOTABLE.index(required) else ""
    if policy and not is_policy_overridden:
        raise errors.Refused(policy, hint="Pass the remaining gates first, or override the policy with a reason.")
    if version is None:
        raise errors.Refused(f"No version carries the alias {source}.", hint=_way_to(source))
    live = aliases.get(Alias.LIVE)
    if live == version:
        raise errors.Refused(f"Version {version} is live already.", hint="Nothing to do.")
    moved = [AliasChange(Alias.PREVIOUS, live)] if live is not None else []
    return Promotion(version, live, False, (*moved, AliasChange(Alias.LIVE, version), *clean_up(aliases, version)), policy)


def plan_adoption(aliases: Aliases) -> Promotion:
    """Accept the aliases as somebody set them elsewhere; only servers and ledger follow.

    Raises:
        Refused: no version carries `live`, so there is nothing to serve.
    """
    live = aliases.get(Alias.LIVE)
    if live is None:
        raise errors.Refused(
            "No version carries the alias live any more, so there is nothing to adopt.", hint="Revert, or promote a version."
        )
    return Promotion(live, aliases.get(Alias.PREVIOUS), False, (), "The alias was moved outside Gatewright, past every gate.")


def plan_reversal(live: int, previous: int | None) -> list[AliasChange]:
    """Put the protected aliases back to where the last decision put them."""
    return [AliasChange(Alias.PREVIOUS, previous), AliasChange(Alias.LIVE, live)]


def require_removable(aliases: Aliases, version: int) -> None:
    """Raises Refused for a version that serves users or is the way back."""
    held = [alias for alias in PROTECTED if aliases.get(alias) == version]
    if held:
        raise errors.Refused(
            f"Version {version} is {held[0]} and protected.", hint="Promote another version first; then this one is no longer needed."
        )


def plan_archiving(aliases: Aliases, version: int) -> list[AliasChange]:
    """An archived version stands nowhere on the track, so that nothing can promote it by an alias it once had."""
    return [AliasChange(alias, None) for alias in Alias if aliases.get(alias) == version]


def undo(plan: Promotion, before: Aliases) -> list[AliasChange]:
    """What brings back every alias the plan touches, `live` first."""
    touched = sorted({change.alias for change in plan.changes}, key=lambda alias: alias is not Alias.LIVE)
    return [AliasChange(alias, before.get(alias)) for alias in touched]


def rest(aliases: Aliases, version: int, replaced: int | None) -> list[AliasChange]:
    """What finishes a promotion or rollback that was cut off while aliases moved; what has moved already is set once more."""
    moved = [AliasChange(Alias.PREVIOUS, replaced)] if replaced is not None else []
    return [*moved, AliasChange(Alias.LIVE, version), *clean_up(aliases, version)]


def clean_up(aliases: Aliases, version: int) -> list[AliasChange]:
    """The aliases a version loses once it is live: its way there is over."""
    return [AliasChange(alias, None) for alias in CLEANED_ON_PROMOTE if aliases.get(alias) == version]


def _plan_rollback(aliases: Aliases) -> Promotion:
    live, previous = aliases.get(Alias.LIVE), aliases.get(Alias.PREVIOUS)
    if previous is None:
        raise errors.Refused(
            "There is no previous version to roll back to.", hint="A rollback needs a promotion that replaced another version."
        )
    if live is None or live == previous:
        raise errors.Refused("There is no live version to roll back from.", hint="Promote a version first.")
    return Promotion(previous, live, True, (AliasChange(Alias.PREVIOUS, live), AliasChange(Alias.LIVE, previous)))


def _way_to(source: Alias) -> str:
    workflow = {Alias.STAGED: "deployment", Alias.EVAL_PASSED: "evaluation (Gate 1)", Alias.PERF_PASSED: "performance (Gate 2)"}[source]
    return f"Run the {workflow} workflow to earn it."
