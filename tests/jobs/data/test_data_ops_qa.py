"""The dataset ops-qa: splits that share no fact, answers that stand in their contexts, the same rows everywhere."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from controlplane.core import datasets, intervals, prompts
from jobs.data import ops_facts, ops_qa, ops_wording

SERVICES_FILE = Path("/etc/services")

# Digest of the eval split: the same in Python 3.11, 3.12 and 3.13. It changes only when somebody means to change the data.
EVAL_DIGEST = "e560f41dc17f351249d34f9d7790adad9ae6bffb79906a478d535866371c6af5"


@pytest.fixture(scope="module", params=sorted(ops_qa.VERSIONS))
def splits(request: pytest.FixtureRequest) -> dict[str, list[datasets.Row]]:
    return ops_qa.build(request.param)


def test_splits_share_no_entity_and_none_is_lost() -> None:
    by_split = {split: {(e.family, e.name) for e in entities} for split, entities in ops_qa.entities_by_split().items()}
    for one, other in itertools.combinations(by_split.values(), 2):
        assert one.isdisjoint(other)
    assert set.union(*by_split.values()) == {(e.family, e.name) for e in ops_facts.all_entities()}


def test_no_training_context_tells_a_fact_of_the_eval_split(splits: dict[str, list[datasets.Row]]) -> None:
    facts = [(e.name, value) for e in ops_qa.entities_by_split()["eval"] for value in e.values.values()]
    for context in {row.context for row in splits["train"]}:
        words = {word.rstrip(".,:") for word in context.split()}
        assert not [fact for fact in facts if fact[0] in words and (fact[1] in words or (" " in fact[1] and fact[1] in context))]


def test_every_split_has_every_family() -> None:
    families = {w.family for w in ops_wording.WORDINGS}
    assert all({e.family for e in entities} == families for entities in ops_qa.entities_by_split().values())


def test_answers_stand_in_their_context_and_refusals_have_no_fact_to_copy(splits: dict[str, list[datasets.Row]]) -> None:
    for row in itertools.chain(*splits.values()):
        assert row.answerable == (row.answer != prompts.REFUSAL)
        assert not row.answerable or row.answer in row.context


def test_a_question_to_be_refused_names_nobody_in_the_context(splits: dict[str, list[datasets.Row]]) -> None:
    names = {e.name for e in ops_facts.all_entities()}
    for row in itertools.chain(*splits.values()):
        if not row.answerable:
            asked = {word.strip("?") for word in row.question.split()} & names
            told = {word.strip(".,:") for word in row.context.split()} | {word.rstrip(".,:") for word in row.context.split()}
            assert asked, row
            assert asked.isdisjoint(told) or asked & told <= {"http", "syslog"}, row


def test_ids_and_questions_are_unique_within_a_split(splits: dict[str, list[datasets.Row]]) -> None:
    for rows in splits.values():
        assert len({row.id for row in rows}) == len(rows)
        assert len({(row.context, row.question) for row in rows}) == len(rows)


def test_eval_split_can_tell_five_points_of_either_finding(splits: dict[str, list[datasets.Row]]) -> None:
    refused = sum(not row.answerable for row in splits["eval"])
    for rows in (refused, len(splits["eval"]) - refused):
        one_worse = intervals.paired_difference(0, 1, rows)
        assert one_worse is not None
        assert one_worse.low >= -0.05


def test_version_two_trains_on_more_and_is_judged_by_the_same_rows() -> None:
    small, large = ops_qa.build(1), ops_qa.build(2)
    assert len(large["train"]) > 1.25 * len(small["train"])
    assert (small["validation"], small["eval"]) == (large["validation"], large["eval"])


def test_rows_are_the_same_everywhere() -> None:
    assert datasets.digest(datasets.to_jsonl(ops_qa.build(1)["eval"])) == EVAL_DIGEST


def test_ports_agree_with_the_systems_own_table() -> None:
    if not SERVICES_FILE.exists():
        pytest.skip("/etc/services is not there (Debian package netbase)")
    fields = (line.split() for line in SERVICES_FILE.read_text().splitlines() if line and not line.startswith("#"))
    known = {(names, int(port.partition("/")[0])) for names, port, *_ in fields}
    assert set(ops_facts.SERVICES.items()) <= known


def test_version_two_asks_for_fewer_refusals_than_version_one() -> None:
    shares = [sum(not row.answerable for row in ops_qa.build(version)["train"]) / len(ops_qa.build(version)["train"]) for version in (1, 2)]
    assert 0.25 < shares[1] < 0.4 < shares[0] < 0.6
