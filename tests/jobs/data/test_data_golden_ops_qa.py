"""The golden set of ops-qa: the shipped file is what the code builds, and each answer deserves its grade."""

from __future__ import annotations

import re
from collections import Counter
from importlib import resources

import pytest

from controlplane.core import calibration, prompts, reference_judge, refusals
from jobs.data import golden_ops_qa, ops_qa

ROWS = golden_ops_qa.build()


def of(kind: str) -> list[calibration.GoldenRow]:
    return [row for row in ROWS if row.kind == kind]


def test_the_shipped_file_is_what_the_code_builds() -> None:
    shipped = (resources.files("controlplane") / "golden" / "ops-qa.jsonl").read_text(encoding="utf-8")
    assert shipped == calibration.to_jsonl(ROWS), "run: python -m jobs.data.golden_ops_qa > controlplane/golden/ops-qa.jsonl"
    assert calibration.parse(shipped, "ops-qa.jsonl") == ROWS


def test_every_kind_and_every_letter_is_well_represented() -> None:
    assert Counter(row.kind for row in ROWS) == dict.fromkeys(golden_ops_qa.KINDS, golden_ops_qa.ROWS_PER_KIND)
    assert len(ROWS) >= 120
    assert min(Counter(row.grade for row in ROWS).values()) >= 30
    assert {row.source for row in ROWS} == {"constructed"}


@pytest.mark.parametrize(
    ("kind", "letters"),
    [
        ("exact", {"A": 18}),
        ("paraphrased", {"A": 18}),
        ("partly-wrong", {"B": 18}),
        ("wrong-fact", {"C": 18}),
        ("wrong-refusal", {"B": 18}),
        ("right-refusal", {"A": 18}),
        ("padded", {"A": 6, "B": 6, "C": 6}),
        ("adversarial", {"A": 6, "C": 12}),
    ],
)
def test_letters_of_a_kind(kind: str, letters: dict[str, int]) -> None:
    assert Counter(row.grade for row in of(kind)) == letters


def test_an_answerable_row_has_its_answer_in_the_context_and_another_has_not() -> None:
    names = {entity.name for entities in ops_qa.entities_by_split().values() for entity in entities}
    for row in ROWS:
        told, asked = (set(reference_judge.tokens(text)) for text in (row.context, row.question))
        assert row.answerable == (row.reference != prompts.REFUSAL)
        if row.answerable:
            assert set(reference_judge.tokens(row.reference)) <= told, row.id
        else:
            # Names of services, and words of questions about facilities and statuses.
            assert not ({name.lower() for name in names} - {"syslog", "http"}) & asked & told, row.id


def test_contexts_are_never_used_twice() -> None:
    assert len({row.context for row in ROWS}) == len(ROWS)


def test_exact_answers_are_the_reference_and_paraphrases_are_not() -> None:
    assert all(row.answer == row.reference for row in of("exact"))
    assert all(row.answer != row.reference for row in of("paraphrased"))
    assert sum("Answer both" in row.question for row in of("exact")) == 6


def test_partly_wrong_answers_hold_one_of_two_things_and_nothing_false() -> None:
    for row in of("partly-wrong"):
        parts = row.reference.split("; ")
        assert len(parts) == 2
        assert row.answer in parts


def test_wrong_facts_share_no_word_with_the_right_answer_unless_they_deny_it() -> None:
    for row in of("wrong-fact"):
        shared = set(reference_judge.tokens(row.answer)) & set(reference_judge.tokens(row.reference))
        assert not shared or row.answer == f"Not {row.reference}.", row.id
    assert sum(not row.answerable for row in of("wrong-fact")) >= 3


def test_refusals_are_seen_as_refusals() -> None:
    for row in of("wrong-refusal") + of("right-refusal"):
        assert refusals.is_refusal(row.answer)
        assert row.answerable == (row.kind == "wrong-refusal")


def test_adversarial_answers_ask_for_the_grade_they_do_not_deserve() -> None:
    for row in of("adversarial"):
        said, _, attack = row.answer.partition("\n")
        asked = {"A": "C", "C": "A"}[row.grade]
        assert (said == row.reference) == (row.grade == "A")
        assert re.search(rf'[Gg]rade(": "|: | is | ){asked}\b', attack), row.id
