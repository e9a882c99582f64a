"""What an adapter answers to a few fixed prompts, so that a server can be asked whether it really serves it. Pure.

One token a prompt, with the log-probabilities of its rivals: five numbers tell two adapters apart better than five more words would, and
cost no further pass through the model while a promotion waits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import zip_longest

from controlplane.core import errors

# Short, unlike one another, and without a chat template, so that they fit any base model. Another set makes recorded prints useless.
PROMPTS = (
    "The ssh service listens on port",
    "The opposite of cold is",
    "def add(a, b):\n    return",
)
TOKENS = 1
# The version's tag that holds what was recorded when it was staged.
TAG = "fingerprint"
RIVALS = 5

# Nats. Batches of other sizes and other hardware move a token's log-probability by less, another adapter by more.
TOLERANCE = 0.15
# A less likely token's moves more.
RIVAL_TOLERANCE = 2 * TOLERANCE


@dataclass(frozen=True)
class Token:
    """One greedy token with its log-probability, and those of the likeliest tokens in its place."""

    text: str
    logprob: float
    rivals: Mapping[str, float]


@dataclass(frozen=True)
class Fingerprint:
    """`server` says what computed it (build and numbers format); one tuple of tokens for each of `PROMPTS`."""

    server: str
    answers: tuple[tuple[Token, ...], ...]


class Match(StrEnum):
    """`equal`: the same tokens. `close`: the same but for near ties. `unknown`: nothing was recorded to compare with."""

    EQUAL = "equal"
    CLOSE = "close"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Comparison:
    match: Match
    reason: str

    @property
    def is_acceptable(self) -> bool:
        return self.match is not Match.DIFFERENT


def compare(recorded: Fingerprint | None, found: Fingerprint, tolerance: float = TOLERANCE) -> Comparison:
    """Is what a server answers what the adapter is known to answer?

    Every token's log-probability must lie within `tolerance` (nats) of the recorded one, its rivals' within `RIVAL_TOLERANCE`. Where tokens
    differ, as they may between builds, kinds of hardware or sizes of a batch, the two must be that close to each other; what follows is
    not comparable then.
    """
    if recorded is None:
        return Comparison(Match.UNKNOWN, "no fingerprint was recorded when this version was staged")
    if len(recorded.answers) != len(found.answers):
        return Comparison(Match.UNKNOWN, "the recorded fingerprint belongs to another set of prompts")
    for number, (old, new) in enumerate(zip(recorded.answers, found.answers, strict=True), start=1):
        if fault := _fault(old, new, tolerance):
            return Comparison(Match.DIFFERENT, f"fingerprint answer {number}: {fault}")
    if _texts(recorded) == _texts(found):
        return Comparison(Match.EQUAL, f"all {len(found.answers)} fingerprint answers are those recorded")
    return Comparison(Match.CLOSE, f"the fingerprint answers are those recorded, but for ties within {tolerance} nats")


def to_text(fingerprint: Fingerprint) -> str:
    return json.dumps(asdict(fingerprint), separators=(",", ":"))


def from_text(text: str) -> Fingerprint | None:
    """None for an empty text: nothing was recorded.

    Raises:
        InvalidInput: it is not a fingerprint of ours.
    """
    if not text:
        return None
    try:
        value = json.loads(text)
        answers = tuple(tuple(Token(t["text"], float(t["logprob"]), dict(t["rivals"])) for t in answer) for answer in value["answers"])
        return Fingerprint(str(value["server"]), answers)
    except (ValueError, KeyError, TypeError) as error:
        raise errors.InvalidInput(
            "The recorded fingerprint cannot be read.", hint="Run the deployment workflow again to record one."
        ) from error


def _texts(fingerprint: Fingerprint) -> list[list[str]]:
    return [[token.text for token in answer] for answer in fingerprint.answers]


def _fault(old: Sequence[Token], new: Sequence[Token], tolerance: float) -> str:
    """Why these two answers are not the same adapter's; empty when they may be."""
    for before, after in zip_longest(old, new):
        if before is None or after is None:
            return f"{len(new)} tokens instead of {len(old)}"
        if moved := _moved_rival(before.rivals, after.rivals):
            return moved
        if before.text != after.text:
            rival = after.rivals.get(before.text)
            is_tie = rival is not None and after.logprob - rival <= tolerance
            return "" if is_tie else f"{after.text!r} where {before.text!r} was recorded"
        if not abs(before.logprob - after.logprob) <= tolerance:
            return f"{after.text!r} with log-probability {after.logprob:.2f}, recorded {before.logprob:.2f}"
    return ""


def _moved_rival(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """A token that only one side lists may have been as likely as the last of the other side's list, and no likelier."""
    for text in (*before, *after):
        old, new = _in(before, text, after), _in(after, text, before)
        if not abs(old - new) <= RIVAL_TOLERANCE:
            return f"rival {text!r} with log-probability {new:.2f}, recorded {old:.2f}"
    return ""


def _in(listed: Mapping[str, float], text: str, other: Mapping[str, float]) -> float:
    return listed[text] if text in listed else min((other[text], *listed.values()))
