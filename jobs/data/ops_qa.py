"""The dataset `ops-qa`: questions about operational facts, some of which their context does not answer. Pure: no file, no clock.

The same code gives the same rows on every machine. Splits share no entity, so no fact of the eval split was ever trained on.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from controlplane.core import datasets, prompts
from jobs.data import ops_facts, ops_wording

NAME = "ops-qa"

# Share of each family's entities; the rest trains. Eval needs many, for its rows are the evidence of Gate 1.
EVAL_SHARE = 0.24
VALIDATION_SHARE = 0.10

# The others state two facts of one kind, so that the value alone is no answer: the name must be found.
SINGLE_FACT_SHARE = 0.3

# Rows drawn from one context. Several questions about one context teach the model to look the asked name up instead of guessing.
# More than half of what version 1 asks must be refused, and an adapter trained on it refuses too often; version 2 mends that.
_CAUTIOUS = ("first other absent", "first second other")
_BALANCED = ("first second other", "first second absent")
_VALIDATION = ("first", "other", "first", "first", "absent", "first", "first", "other", "first", "first")
# Refusals are counted on the unanswerable rows alone, so half must be such: 110 tell a difference of five points, with one row to spare.
_EVAL = ("first", "other", "first", "absent", "first", "other", "first", "other", "first", "other")


@dataclass(frozen=True)
class Plan:
    """How many contexts each split of a version has, and what is asked of those that train. Held-out splits ask one question of each."""

    train: int
    patterns: tuple[str, ...]
    validation: int = 44
    eval: int = 220


VERSIONS = {1: Plan(140, _CAUTIOUS), 2: Plan(200, _BALANCED)}


def build(version: int) -> dict[str, list[datasets.Row]]:
    """The rows of every split of this version. Validation and eval are the same in all versions, so that scores can be compared."""
    plan = VERSIONS[version]
    split_of = entities_by_split()
    return {
        "train": _rows("train", split_of["train"], plan.train, plan.patterns),
        "validation": _rows("validation", split_of["validation"], plan.validation, _VALIDATION),
        "eval": _rows("eval", split_of["eval"], plan.eval, _EVAL),
    }


def entities_by_split() -> dict[str, list[ops_facts.Entity]]:
    """Every entity in exactly one split, each family in every split."""
    result: dict[str, list[ops_facts.Entity]] = {split: [] for split in datasets.SPLITS}
    families: dict[str, list[ops_facts.Entity]] = {}
    for entity in ops_facts.all_entities():
        families.setdefault(entity.family, []).append(entity)
    for family, members in families.items():
        shuffled = random.Random(f"{NAME}/split/{family}").sample(members, len(members))
        evals, validations = (max(3, round(len(members) * share)) for share in (EVAL_SHARE, VALIDATION_SHARE))
        result["eval"] += shuffled[:evals]
        result["validation"] += shuffled[evals : evals + validations]
        result["train"] += shuffled[evals + validations :]
    return result


@dataclass(frozen=True)
class _Scene:
    """A context with the entities it tells of (one twice when it states a single fact), another of its family, one of another family."""

    wording: ops_wording.Wording
    first: ops_facts.Entity
    second: ops_facts.Entity
    other: ops_facts.Entity
    elsewhere: ops_facts.Entity
    context: str


def _rows(split: str, entities: list[ops_facts.Entity], contexts: int, patterns: tuple[str, ...]) -> list[datasets.Row]:
    draw = random.Random(f"{NAME}/{split}")
    rows: list[datasets.Row] = []
    told: set[str] = set()
    for number in range(contexts):
        scene = _new_scene(entities, told, draw)
        for kind in patterns[number % len(patterns)].split():
            if kind == "second" and scene.second is scene.first:
                continue
            question, answer = _ask(kind, scene, draw)
            row_id = f"{split}-{len(rows) + 1:04d}"
            rows.append(datasets.Row(row_id, question, scene.context, answer, answer != prompts.REFUSAL))
    return rows


def _new_scene(entities: list[ops_facts.Entity], told: set[str], draw: random.Random) -> _Scene:
    scene = _scene(entities, draw)
    while scene.context in told:
        scene = _scene(entities, draw)
    told.add(scene.context)
    return scene


def _scene(entities: list[ops_facts.Entity], draw: random.Random) -> _Scene:
    family = draw.choice(entities).family
    elsewhere = draw.choice([e for e in entities if e.family != family])
    first, second, other = _unlike([e for e in entities if e.family == family], draw)
    wording = _wording_of(first, draw)
    told = [first] if draw.random() < SINGLE_FACT_SHARE else [first, second]
    context = " ".join(_state(wording, entity, draw) for entity in told)
    draw.shuffle(told)
    return _Scene(wording, told[0], told[-1], other, elsewhere, context)


def _wording_of(entity: ops_facts.Entity, draw: random.Random) -> ops_wording.Wording:
    return draw.choice([wording for wording in ops_wording.WORDINGS if wording.family == entity.family])


def _unlike(members: list[ops_facts.Entity], draw: random.Random) -> list[ops_facts.Entity]:
    """Three entities whose names begin differently after what the family's names have in common, and whose values differ."""
    common = _common_length([e.name for e in members])
    order = draw.sample(members, len(members))
    chosen: list[ops_facts.Entity] = []
    for entity in order:
        if all(c.name[common] != entity.name[common] and c.values != entity.values for c in chosen):
            chosen.append(entity)
    return chosen[:3] if len(chosen) >= 3 else order[:3]


def _common_length(names: list[str]) -> int:
    """Number of leading characters that all names share."""
    return next((i for i, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), 0)


def _state(wording: ops_wording.Wording, entity: ops_facts.Entity, draw: random.Random) -> str:
    sentence = draw.choice(wording.statements).format(name=entity.name, value=entity.values[wording.attribute])
    return sentence[0].upper() + sentence[1:] if sentence.startswith("the ") else sentence


def _ask(kind: str, scene: _Scene, draw: random.Random) -> tuple[str, str]:
    """Question and answer of one kind: a told entity's fact, or one of an entity that the context does not name."""
    wording = scene.wording
    match kind:
        case "first" | "second":
            entity = scene.first if kind == "first" else scene.second
            return draw.choice(wording.questions).format(name=entity.name), entity.values[wording.attribute]
        case "other":
            return draw.choice(wording.questions).format(name=scene.other.name), prompts.REFUSAL
        case "absent":
            return draw.choice(_wording_of(scene.elsewhere, draw).questions).format(name=scene.elsewhere.name), prompts.REFUSAL
        case _:
            raise ValueError(f"unknown kind of question {kind!r}")
