"""People's reviews of an evaluation: votes and grades on its rows, what they add up to, and the rows fit to measure a judge by."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from controlplane import ports, wire
from controlplane.core import corrections, errors, evidence, preferences, raters
from controlplane.services import compare, results

# Evaluations kept in memory: what an MLflow run holds never changes, and each vote asks for it.
KEPT_EVALUATIONS = 4

Sides = Mapping[str, wire.GradedAnswer]


@dataclass(frozen=True)
class Found:
    """An evaluation with what people said about it. `choices` are by row, then by person; `grades` are those that count."""

    evaluation: wire.Evaluation
    rows: Mapping[str, Sides]
    choices: Mapping[str, Mapping[str, str]]
    grades: Sequence[ports.GradeCorrection]

    @property
    def reviewers(self) -> tuple[str, ...]:
        return tuple(sorted({actor for by_actor in self.choices.values() for actor in by_actor}))


@dataclass(frozen=True)
class Reviewer:
    results: results.Results
    ledger: ports.Ledger
    comparer: compare.Comparer
    now: Callable[[], datetime]
    _evaluations: dict[str, wire.Evaluation] = field(default_factory=dict)

    def vote(self, vote: wire.Vote, actor: str) -> wire.VoteRecord:
        """A vote on a row of an evaluation.

        Raises:
            InvalidInput: it does not say which version's evaluation.
            NotFound: the version was never evaluated, or there is no such row with two answers.
            Conflict: the version was evaluated again since.
        """
        if vote.candidate_version is None:
            raise errors.InvalidInput("A vote on a row must name the version.", hint="Give candidate_version.")
        evaluation = self._current(vote.model, vote.candidate_version, vote.evaluation_run)
        sides = _row(evaluation, vote.row_id)
        if not _has_both(sides):
            raise errors.NotFound(f"Row {vote.row_id!r} has one answer only.", hint="Vote on rows that both sides answered.")
        question = sides["candidate"].question
        return self.comparer.vote(vote.model_copy(update={"prompt": question, "evaluation_run": evaluation.mlflow_run}), actor)

    def grade(self, model: str, number: int, correction: wire.GradeCorrection, actor: str) -> wire.GradeRecord:
        """A person's grade of one answer.

        Raises:
            NotFound: the version was never evaluated, or there is no such answer.
            Conflict: the version was evaluated again since.
        """
        evaluation = self._current(model, number, correction.evaluation_run)
        if correction.role not in _row(evaluation, correction.row_id):
            raise errors.NotFound(
                f"{correction.role.capitalize()} did not answer row {correction.row_id!r}.", hint="Grade an answer it gave."
            )
        return _shown_grade(
            self.ledger.correct(
                ports.GradeCorrection(
                    at=self.now(),
                    actor=actor,
                    model=model,
                    version=number,
                    evaluation_run=evaluation.mlflow_run,
                    row_id=correction.row_id,
                    role=correction.role,
                    grade=correction.grade,
                )
            )
        )

    def grades(self, model: str, number: int) -> list[wire.GradeRecord]:
        """Those that count, of the version's newest evaluation. Raises NotFound when it was never evaluated."""
        return [_shown_grade(one) for one in self._grades(self._current(model, number, ""))]

    def review(self, model: str, number: int) -> wire.Review:
        """What people said about the version's newest evaluation. Raises NotFound when it was never evaluated."""
        found = self._found(model, number)
        both = [sides for sides in found.rows.values() if _has_both(sides)]
        return wire.Review(
            model=model,
            version=number,
            mlflow_run=found.evaluation.mlflow_run,
            judge=found.evaluation.judge,
            rows=len(both),
            different=sum(sides["candidate"].answer.strip() != sides["live"].answer.strip() for sides in both),
            reviewers=found.reviewers,
            preference=_shown_preference(_preference(found)),
            between_people=_shown_agreement(_between_people(found)),
            people_and_judge=_shown_agreement(raters.among(_with_judges_choice(found))),
            grades=len(found.grades),
            grades_and_judge=_shown_agreement(raters.among(_with_judges_grade(found))),
            golden_rows=len(_golden(found)),
        )

    def golden(self, model: str, number: int) -> list[wire.GoldenRow]:
        """Answers with a grade beyond dispute: all who graded it agree, or two or more voted and all said that both are bad."""
        found = self._found(model, number)
        return [_golden_row(found, one) for one in _golden(found)]

    def exported(self, model: str, version: int | None = None) -> list[wire.ExportedVote]:
        """Every vote, oldest first, with the answers voted on where the version's newest evaluation holds them."""
        votes = self.ledger.votes(model, version=version)[::-1]
        counting = {vote.id for vote in preferences.latest(votes, _subject) if vote.choice != preferences.WITHDRAWN}
        answers = {number: self._answers(model, number) for number in {vote.candidate_version for vote in votes if vote.row_id}}
        return [_exported(vote, vote.id in counting, answers.get(vote.candidate_version, {})) for vote in votes]

    def _answers(self, model: str, number: int | None) -> Mapping[tuple[str, str], Sides]:
        """By evaluation and row; none when the version was deleted or its evaluation was."""
        try:
            evaluation = self._current(model, number or 0, "")
        except errors.NotFound:
            return {}
        return {(evaluation.mlflow_run, row): sides for row, sides in _rows(evaluation).items()}

    def checklist_item(self, version: ports.Version) -> wire.Evidence | None:
        """For the promotion checklist; it informs, and stops nothing. None where nobody voted."""
        run_id = version.tags.get(results.RUN_TAG[evidence.Gate.EVALUATION], "")
        if not run_id or not self.ledger.votes(version.model, limit=1, version=version.number, evaluation_run=run_id):
            return None
        found = self._found(version.model, version.number)
        if not found.choices:
            return None
        preference = _preference(found)
        reason = preferences.sentence(len(found.reviewers), preference, _between_people(found))
        outcome = preferences.outcome(preference)
        return wire.Evidence(gate="people", title="People: blind review", outcome=outcome.value, reason=reason, mlflow_run=run_id)

    def _found(self, model: str, number: int) -> Found:
        evaluation = self._current(model, number, "")
        votes = self.ledger.votes(model, version=number, evaluation_run=evaluation.mlflow_run)
        return Found(evaluation, _rows(evaluation), _choices(votes), self._grades(evaluation))

    def _grades(self, evaluation: wire.Evaluation) -> list[ports.GradeCorrection]:
        given = self.ledger.corrections(evaluation.model, evaluation.version, evaluation.mlflow_run)
        return [one for one in preferences.latest(given, lambda one: (one.actor, one.row_id, one.role)) if one.grade]

    def _current(self, model: str, number: int, seen_run: str) -> wire.Evaluation:
        """The version's newest evaluation, which must be the one that the person saw."""
        run_id = self.results.run_id(model, number, evidence.Gate.EVALUATION)
        if seen_run not in ("", run_id):
            raise errors.Conflict(
                f"{model} v{number} was evaluated again since these answers were shown.", hint="Reload the page and look at the new ones."
            )
        evaluation = self._evaluations.get(run_id)
        if evaluation is None:
            evaluation = self.results.evaluation(model, number)
            if len(self._evaluations) >= KEPT_EVALUATIONS:
                self._evaluations.clear()
            self._evaluations[evaluation.mlflow_run] = evaluation
        return evaluation


def _rows(evaluation: wire.Evaluation) -> dict[str, dict[str, wire.GradedAnswer]]:
    rows: dict[str, dict[str, wire.GradedAnswer]] = {}
    for answer in evaluation.rows:
        rows.setdefault(answer.id, {})[answer.role] = answer
    return rows


def _row(evaluation: wire.Evaluation, row_id: str) -> Sides:
    rows = _rows(evaluation)
    if row_id not in rows:
        name = f"{evaluation.model} v{evaluation.version}"
        raise errors.NotFound(f"The evaluation of {name} has no row {row_id!r}.", hint="Take the id from the evaluation's rows.")
    return rows[row_id]


def _subject(vote: ports.Vote) -> Hashable:
    """What a later vote of the same person replaces: the vote on the same row. A vote on a typed prompt replaces none."""
    return (vote.evaluation_run, vote.row_id, vote.actor) if vote.row_id else vote.id


def _exported(vote: ports.Vote, is_counting: bool, answers: Mapping[tuple[str, str], Sides]) -> wire.ExportedVote:
    sides = answers.get((vote.evaluation_run, vote.row_id), {})
    said = {f"{role}_answer": sides[role].answer for role in preferences.ROLES if sides}
    about = {"context": sides["candidate"].context, "reference": sides["candidate"].reference} if sides else {}
    return wire.ExportedVote.model_validate({**asdict(vote), "counts": is_counting, **about, **said})


def _has_both(sides: Sides) -> bool:
    """Candidate and live answered; an evaluation may hold answers of others besides."""
    return set(preferences.ROLES) <= set(sides)


def _choices(votes: Sequence[ports.Vote]) -> dict[str, dict[str, str]]:
    """Row, then person, to the choice that counts; `votes` come newest first."""
    choices: dict[str, dict[str, str]] = {}
    for vote in preferences.latest(reversed(votes), _subject):
        if vote.row_id and vote.choice != preferences.WITHDRAWN:
            choices.setdefault(vote.row_id, {})[vote.actor] = vote.choice
    return choices


def _preference(found: Found) -> preferences.Preference:
    return preferences.preference({row: list(by_actor.values()) for row, by_actor in found.choices.items()})


def _between_people(found: Found) -> raters.Agreement:
    return raters.among(list(by_actor.values()) for by_actor in found.choices.values())


def _with_judges_choice(found: Found) -> Iterator[Sequence[str]]:
    """What most people chose on each row, beside what the judge's two grades amount to."""
    for row, by_actor in found.choices.items():
        sides = found.rows[row]
        judged = preferences.implied(sides["candidate"].grade, sides["live"].grade)
        if judged:
            yield preferences.majority(list(by_actor.values())), judged


def _with_judges_grade(found: Found) -> Iterator[Sequence[str]]:
    """The grade that people agree on for each answer, beside the judge's."""
    for one in corrections.golden(_stated(found), ()):
        judged = found.rows[one.row][one.role].grade
        if judged:
            yield one.grade, judged


def _stated(found: Found) -> list[corrections.Stated]:
    return [corrections.Stated(one.row_id, one.role, found.rows[one.row_id][one.role].answer, one.actor, one.grade) for one in found.grades]


def _golden(found: Found) -> list[corrections.Agreed]:
    agreed_bad = {row: by_actor for row, by_actor in found.choices.items() if corrections.is_agreed_bad(list(by_actor.values()))}
    both_bad = (
        corrections.Stated(row, role, found.rows[row][role].answer, actor, "C")
        for row, by_actor in agreed_bad.items()
        for role in preferences.ROLES
        for actor in by_actor
    )
    return corrections.golden(_stated(found), both_bad)


def _golden_row(found: Found, one: corrections.Agreed) -> wire.GoldenRow:
    answer = found.rows[one.row][one.role]
    return wire.GoldenRow.model_validate(
        {
            "id": f"{one.row}-v{found.evaluation.version}-{one.role}",
            "question": answer.question,
            "context": answer.context,
            "reference": answer.reference,
            "answerable": answer.answerable,
            "answer": answer.answer,
            "grade": one.grade,
            "source": ", ".join(one.actors),
        }
    )


def _shown_grade(one: ports.GradeCorrection) -> wire.GradeRecord:
    body = {"row_id": one.row_id, "role": one.role, "grade": one.grade, "evaluation_run": one.evaluation_run}
    return wire.GradeRecord(at=one.at, actor=one.actor, correction=wire.GradeCorrection.model_validate(body))


def _shown_agreement(found: raters.Agreement) -> wire.Agreement:
    return wire.Agreement(**asdict(found))


def _shown_preference(found: preferences.Preference) -> wire.Preference:
    interval = wire.Interval(**asdict(found.interval)) if found.interval else None
    counts = {"rows": found.rows, "candidate": found.candidate, "live": found.live, "tie": found.tie, "both_bad": found.both_bad}
    return wire.Preference(**counts, net=found.net, interval=interval)
