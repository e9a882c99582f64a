"""The reference judge: grades by comparison with the reference answer, for machines without a judge model. Deterministic; asks nobody."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.core import datasets, judging, pairwise, refusals

NAME = "reference judge (deterministic)"


@dataclass(frozen=True)
class ReferenceJudge:
    """Grades by comparison with the reference answer, for machines without a judge model. Deterministic and strict."""

    name: str = NAME

    def grade(self, row: datasets.Row, answer: str) -> judging.Grade:
        return grade_by_reference(row, answer)

    def prefer(self, row: datasets.Row, first: str, second: str) -> pairwise.Preference:
        return prefer_by_reference(row, first, second)


def grade_by_reference(row: datasets.Row, answer: str) -> judging.Grade:
    """A, B or C by normalized comparison with the reference answer."""
    if not answer.strip():
        return judging.Grade("C", "The answer is empty.")
    is_refusal = refusals.is_refusal(answer)
    if not row.answerable:
        return judging.Grade("A", "Refused, as it should.") if is_refusal else judging.Grade("C", "Answered what the context does not say.")
    given, wanted = tokens(answer), tokens(row.answer)
    if given == wanted:
        return judging.Grade("A", "Equal to the reference answer.")
    if is_refusal:
        return judging.Grade("B", "Refused although the context holds the answer.")
    if _negates(given, wanted):
        return judging.Grade("C", "Negates the reference answer.")
    if _holds_run(given, wanted) and not _strays(given, wanted, tokens(row.question)):
        return judging.Grade("A", "States the reference answer.")
    overlap = _overlap(given, wanted)
    if overlap >= 0.5:
        return judging.Grade("B", f"Shares {overlap:.0%} of its words with the reference answer.")
    return judging.Grade("C", f"The reference answer is {row.answer!r}.")


def prefer_by_reference(row: datasets.Row, first: str, second: str) -> pairwise.Preference:
    """The better grade wins."""
    one, two = (grade_by_reference(row, answer).letter for answer in (first, second))
    if one == two:
        return pairwise.Preference("TIE", f"Both {one}.")
    return pairwise.Preference("1" if one < two else "2", f"{one} against {two}.")


def tokens(text: str) -> list[str]:
    """Words and numbers in lower case, articles and edge punctuation dropped; `text/html`, `3.14` and `-1` stay whole."""
    plain = unicodedata.normalize("NFKC", text).lower()
    return [token for token in _TOKEN.findall(plain) if token not in ("a", "an", "the")]


_TOKEN = re.compile(r"(?:(?<!\w)-(?=\d))?\w+(?:[./+:@'_-]\w+)*[+#]*")
_NEGATIONS = frozenset(("not", "no", "never", "neither", "nor", "isn't", "wasn't", "doesn't", "cannot"))


def _holds_run(given: Sequence[str], wanted: Sequence[str]) -> bool:
    size = len(wanted)
    return size > 0 and any(list(given[i : i + size]) == list(wanted) for i in range(len(given) - size + 1))


def _negates(given: Sequence[str], wanted: Sequence[str]) -> bool:
    return bool(_NEGATIONS & set(given)) and not _NEGATIONS & set(wanted)


def _strays(given: Sequence[str], wanted: Sequence[str], question: Sequence[str]) -> bool:
    """The answer hedges, rambles, or names a number that neither the reference nor the question has."""
    extra = [token for token in given if token not in wanted and token not in question]
    is_hedged = "or" in extra
    has_other_number = any(any(mark.isdigit() for mark in token) for token in extra)
    return is_hedged or has_other_number or len(extra) > 12


def _overlap(given: Sequence[str], wanted: Sequence[str]) -> float:
    """F1 of the words, so that neither a fragment nor a ramble counts as half right."""
    common = sum(min(given.count(token), wanted.count(token)) for token in set(wanted))
    return 2 * common / (len(given) + len(wanted)) if given and wanted else 0.0
