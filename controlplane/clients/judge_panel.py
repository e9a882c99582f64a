"""Several judges that answer as one. It asks each of them; `core.panel` says what most found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane import ports
from controlplane.core import datasets, judging, pairwise, panel


@dataclass(frozen=True)
class JudgePanel:
    """Raises what any judge raises: a panel of fewer would be another judge."""

    judges: Sequence[ports.Judge]

    @property
    def name(self) -> str:
        return f"majority of {len(self.judges)}: {', '.join(judge.name for judge in self.judges)}"

    def grade(self, row: datasets.Row, answer: str) -> judging.Grade:
        grades = [judge.grade(row, answer) for judge in self.judges]
        found = [grade.letter for grade in grades]
        letter = panel.majority(found)
        return judging.Grade(letter, _reason(letter, found, [grade.reason for grade in grades]), panel.votes(found))

    def prefer(self, row: datasets.Row, first: str, second: str) -> pairwise.Preference:
        preferences = [judge.prefer(row, first, second) for judge in self.judges]
        found = [preference.choice for preference in preferences]
        choice = panel.majority(found)
        return pairwise.Preference(choice, _reason(choice, found, [preference.reason for preference in preferences]))


def _reason(most: str, found: Sequence[str], reasons: Sequence[str]) -> str:
    if most:
        return next(reason for one, reason in zip(found, reasons, strict=True) if one == most)
    return f"No majority among the judges: {', '.join(one or 'unread' for one in found)}."
