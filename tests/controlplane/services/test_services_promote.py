"""Promotion and rollback: every replica and the registry move together, or nothing moves, whatever breaks and whenever we are killed."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from controlplane import testing
from controlplane.core import errors, fingerprints
from controlplane.services import promote

MODEL = "ops-qa"
ADA = promote.Caller("ada", "console", "both gates passed")
DOWN = errors.Unreachable("MLflow", "http://mlflow.test", "down")


@pytest.fixture
def ready(world):
    """Version 1 is live on both replicas, version 2 has passed every gate."""
    world.add_live()
    world.add_version("candidate", "staged", "eval-passed", "perf-passed")
    return world


def aliases(world):
    return world.registry.aliases[MODEL]


def test_a_first_promotion(world):
    world.add_version("staged", "eval-passed", "perf-passed")
    record = world.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert aliases(world) == {"live": 1}
    assert world.live_roots() == [str(world.home_of(1))] * 2
    assert record.state == "done"
    assert [(proof.address, proof.state, proof.root) for proof in record.replicas] == [
        (replica.address, "verified", str(world.home_of(1))) for replica in world.replicas
    ]


def test_a_promotion_moves_slots_aliases_record_and_ledger(ready):
    record = ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert aliases(ready) == {"live": 2, "previous": 1}
    assert ready.live_roots() == [str(ready.home_of(2))] * 2
    assert (record.version, record.replaces, record.digest) == (2, 1, ready.registry.resolve(MODEL, "version:2").digest)
    (event,) = ready.ledger.events(MODEL)
    assert (event.action, event.actor, event.version, event.reason) == ("promoted", "ada", 2, "both gates passed")
    assert event.details["replaces"] == "1"


def test_servers_move_before_the_registry_and_previous_before_live(ready):
    seen = []
    apply = ready.registry.apply
    ready.registry.apply = lambda name, changes: (
        seen.append((ready.live_roots(), [change.alias for change in changes])),
        apply(name, changes),
    )
    ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    roots, order = seen[0]
    assert roots == [str(ready.home_of(2))] * 2
    assert order[:2] == ["previous", "live"]


def test_the_candidate_slot_keeps_answering(ready):
    for replica in ready.replicas:
        replica.slots[f"{MODEL}-candidate"] = ready.home_of(2)
    ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert all(replica.slots[f"{MODEL}-candidate"] == ready.home_of(2) for replica in ready.replicas)


def test_rollback_and_forward_again(ready):
    ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    back = ready.plane.promoter.promote(MODEL, "previous", ADA)
    assert back.is_rollback
    assert aliases(ready) == {"live": 1, "previous": 2}
    assert ready.live_roots() == [str(ready.home_of(1))] * 2
    assert ready.ledger.events(MODEL)[0].action == "rolled-back"
    ready.plane.promoter.promote(MODEL, "previous", ADA)
    assert aliases(ready) == {"live": 2, "previous": 1}


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("staged", errors.Refused, "perf-passed"),
        ("candidate", errors.Refused, "candidate"),
        ("live", errors.Refused, "live"),
        ("previous", errors.Refused, "previous"),
        ("latest", errors.InvalidInput, "latest"),
        ("", errors.InvalidInput, "alias"),
    ],
)
def test_what_the_rules_forbid_changes_nothing(ready, source, error, said):
    before = dict(aliases(ready))
    with pytest.raises(error, match=said):
        ready.plane.promoter.promote(MODEL, source, ADA)
    assert aliases(ready) == before
    assert ready.ledger.promotions() == []
    assert ready.live_roots() == [str(ready.home_of(1))] * 2


def test_an_unknown_model_is_not_found(world):
    with pytest.raises(errors.NotFound, match="nobody"):
        world.plane.promoter.promote("nobody", "perf-passed", ADA)


def assert_nothing_changed(world, before):
    assert aliases(world) == before
    assert world.live_roots() == [str(world.home_of(1))] * 2
    (record,) = world.ledger.promotions()
    assert record.state == "failed"
    assert record.error
    assert world.ledger.events() == []


def test_a_replica_that_cannot_load_leaves_everything_as_it_was(ready):
    before = dict(aliases(ready))
    ready.replicas[1].broken.add(ready.home_of(2))
    load = ready.replicas[1].load

    def keeps_the_old(slot, directory):
        former = ready.replicas[1].slots.get(slot)
        try:
            load(slot, directory)
        except errors.OutsideError:
            ready.replicas[1].slots[slot] = former
            raise

    ready.replicas[1].load = keeps_the_old
    with pytest.raises(errors.OutsideError):
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert_nothing_changed(ready, before)


def test_a_replica_that_lost_its_slot_while_failing_gets_the_old_version_back(ready):
    before = dict(aliases(ready))
    ready.replicas[1].broken.add(ready.home_of(2))
    with pytest.raises(errors.OutsideError):
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert_nothing_changed(ready, before)


def test_a_failed_first_promotion_leaves_no_slot_behind(world):
    world.add_version("perf-passed")
    world.replicas[1].broken.add(world.home_of(1))
    with pytest.raises(errors.OutsideError):
        world.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert world.live_roots() == ["", ""]
    assert aliases(world) == {"perf-passed": 1}


def test_an_unreachable_replica_stops_the_promotion_before_the_registry_moves(ready):
    before = dict(aliases(ready))
    ready.replicas[1].fault = errors.Unreachable("vLLM", "http://vllm-1.test", "down")
    with pytest.raises(errors.Unreachable):
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert_nothing_changed(ready, before)


def test_files_that_are_not_the_registered_ones_are_never_served(ready):
    before = dict(aliases(ready))
    version = ready.registry.resolve(MODEL, "version:2")
    ready.tracking.files[version.run_id, "adapter/adapter_model.safetensors"] = b"somebody changed this"
    with pytest.raises(errors.OutsideError, match="digest"):
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert_nothing_changed(ready, before)


def broken_after(world, changes_before_the_fault):
    """The registry makes so many changes and is away for the next one; afterwards it is well again."""
    apply = world.registry.apply

    def partly(name, changes):
        world.registry.apply = apply
        apply(name, changes[:changes_before_the_fault])
        raise DOWN

    world.registry.apply = partly


@pytest.mark.parametrize("made", [0, 1, 2, 3])
def test_a_registry_that_fails_between_two_aliases_is_put_back(ready, made):
    before = dict(aliases(ready))
    broken_after(ready, made)
    with pytest.raises(errors.Unreachable):
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert_nothing_changed(ready, before)


def test_a_promotion_that_cannot_even_be_undone_stays_open_and_is_settled_by_a_later_tick(ready):
    apply = ready.registry.apply

    def partly_then_away(name, changes):
        if ready.registry.fault is None:
            apply(name, changes[:1])
            ready.registry.fault = DOWN
        raise DOWN

    ready.registry.apply = partly_then_away
    with pytest.raises(errors.Unreachable):
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert ready.ledger.promotions()[0].state == "running", "nobody else may promote meanwhile"
    ready.plane.promoter.recover()
    assert ready.ledger.promotions()[0].state == "running", "the registry is still away"
    ready.registry.fault, ready.registry.apply = None, apply
    ready.plane.promoter.recover()
    assert ready.ledger.promotions()[0].state == "done"
    assert aliases(ready) == {"live": 2, "previous": 1}
    assert ready.live_roots() == [str(ready.home_of(2))] * 2


class Killed(BaseException):
    """The process ends here: nothing after it runs, no handler of ours either."""


def kill_after(world, changes_made):
    apply = world.registry.apply

    def killed(name, changes):
        apply(name, changes[:changes_made])
        world.registry.apply = apply
        raise Killed

    world.registry.apply = killed


@pytest.mark.parametrize("source", ["perf-passed", "previous"])
@pytest.mark.parametrize("made", [0, 1, 2])
def test_killed_at_any_alias_the_restart_finishes_it_for_every_replica_was_verified(ready, made, source):
    ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    ready.add_version("staged", "eval-passed", "perf-passed")
    before = dict(aliases(ready))
    kill_after(ready, made)
    with pytest.raises(Killed):
        ready.plane.promoter.promote(MODEL, source, ADA)
    restarted = ready.start_plane()
    restarted.promoter.recover()
    version = before[source]
    assert {name: aliases(ready)[name] for name in ("live", "previous")} == {"live": version, "previous": 2}
    assert ready.live_roots() == [str(ready.home_of(version))] * 2
    assert "perf-passed" not in aliases(ready) or source == "previous"
    assert ready.ledger.promotions()[0].state == "done"
    assert ready.ledger.events()[0].action == ("rolled-back" if source == "previous" else "promoted")


def test_killed_while_the_replicas_move_the_restart_puts_them_back(ready):
    load = ready.replicas[1].load
    ready.replicas[1].load = lambda slot, directory: (_ for _ in ()).throw(Killed())
    with pytest.raises(Killed):
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert ready.live_roots() == [str(ready.home_of(2)), str(ready.home_of(1))], "torn"
    ready.replicas[1].load = load
    restarted = ready.start_plane()
    restarted.promoter.recover()
    assert ready.live_roots() == [str(ready.home_of(1))] * 2
    assert ready.ledger.promotions()[0].state == "failed"
    assert restarted.promoter.promote(MODEL, "perf-passed", ADA).state == "done", "the way is free again"


def test_recovery_twice_is_recovery_once(ready):
    kill_after(ready, 1)
    with pytest.raises(Killed):
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    restarted = ready.start_plane()
    for _ in range(2):
        restarted.promoter.recover()
    assert [event.action for event in ready.ledger.events()] == ["promoted"]


def test_recovery_leaves_a_running_promotion_of_a_living_process_alone(ready):
    ready.ledger.open_promotion(opened(ready, "ada"))
    ready.plane.promoter.recover()
    assert ready.ledger.promotions()[0].state == "running"


def test_recovery_closes_what_was_cut_off_before_anything_was_touched(ready):
    before, roots = dict(aliases(ready)), ready.live_roots()
    ready.ledger.open_promotion(opened(ready, "ada"))
    ready.start_plane().promoter.recover()
    assert ready.ledger.promotions()[0].state == "failed"
    assert (aliases(ready), ready.live_roots()) == (before, roots)


def opened(world, actor):
    """A promotion that this plane has just begun."""
    promoter = world.plane.promoter
    plan = promoter.plan(MODEL, "perf-passed")
    return promoter._record(plan, promoter._pair(MODEL, plan), "perf-passed", replace(ADA, actor=actor))


def test_of_twenty_at_once_one_wins_and_the_losers_are_told_who(ready):
    gate = threading.Barrier(20)
    outcomes = []

    def press(number):
        gate.wait()
        try:
            ready.plane.promoter.promote(MODEL, "perf-passed", replace(ADA, actor=f"person-{number}"))
            outcomes.append("done")
        except (errors.Conflict, errors.Refused) as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=press, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("done") == 1
    assert len(outcomes) == 20
    assert aliases(ready) == {"live": 2, "previous": 1}
    assert [event.action for event in ready.ledger.events()] == ["promoted"]


def test_a_second_promotion_while_one_runs_names_the_holder(ready):
    ready.ledger.open_promotion(opened(ready, "grace"))
    with pytest.raises(errors.Conflict, match="grace"):
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA)


def test_the_plan_shows_moves_evidence_holder_and_replicas(ready):
    version = ready.registry.resolve(MODEL, "version:2")
    ready.add_evaluation(version, {"candidate": "22"})
    plan = ready.plane.planner.plan(MODEL, "perf-passed")
    assert (plan.version, plan.replaces, plan.refusal, plan.holder) == (2, 1, "", "")
    moves = {move.alias: (move.before, move.after) for move in plan.moves}
    assert moves["previous"] == (None, 1)
    assert moves["live"] == (1, 2)
    assert moves["staged"] == (2, None)
    assert {item.gate: item.outcome for item in plan.evidence} == {
        "quality": "missing",
        "deployment": "pass",
        "evaluation": "inconclusive",
        "performance": "missing",
    }
    assert plan.replicas == ("http://vllm-0.test", "http://vllm-1.test")


def test_the_plan_of_a_refused_promotion_still_shows_the_evidence(world):
    world.add_version("staged")
    plan = world.plane.planner.plan(MODEL, "staged")
    assert "perf-passed" in plan.refusal
    assert plan.version == 1
    assert plan.moves == ()
    assert [item.outcome for item in plan.evidence] == ["missing", "pass", "missing", "missing"]


def test_the_policy_can_be_lowered_by_the_settings(world, tmp_path):
    lowered = type(world)(
        tmp_path, registry=world.registry, replicas=(testing.FakeInference(),), environment={"GATEWRIGHT_PROMOTE_FROM": "staged"}
    )
    world.add_version("staged")
    assert lowered.plane.promoter.promote(MODEL, "staged", ADA).state == "done"


def test_an_override_goes_past_the_policy_and_the_ledger_says_so(world):
    world.add_version("staged")
    with pytest.raises(errors.Refused, match="needs a reason"):
        world.plane.promoter.promote(MODEL, "staged", replace(ADA, reason=" "), is_policy_overridden=True)
    record = world.plane.promoter.promote(MODEL, "staged", replace(ADA, reason="hotfix"), is_policy_overridden=True)
    assert (record.state, aliases(world)) == ("done", {"live": 1})
    (event,) = world.ledger.events()
    assert "asks for perf-passed, not staged" in event.details["override"] == record.override


def test_an_override_of_nothing_is_no_override(ready):
    record = ready.plane.promoter.promote(MODEL, "perf-passed", ADA, is_policy_overridden=True)
    assert record.override == ""
    assert "override" not in ready.ledger.events()[0].details


def recorded(world, number, says):
    """Version `number` is known to answer so."""
    version = world.registry.resolve(MODEL, f"version:{number}")
    teller = testing.FakeInference(slots={"slot": world.home_of(number)}, reply=lambda root, messages: f"{says} {messages[-1]['content']}")
    world.registry.tag(version, {fingerprints.TAG: fingerprints.to_text(teller.fingerprint("slot"))})


def test_answers_are_held_against_those_recorded(ready):
    recorded(ready, 2, f"{ready.home_of(2).name} says")
    record = ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert {proof.fingerprint for proof in record.replicas} == {"equal"}


def test_a_replica_that_answers_as_another_adapter_is_put_back(ready):
    before = dict(aliases(ready))
    recorded(ready, 2, "something else entirely")
    with pytest.raises(errors.OutsideError, match="does not answer as this adapter does"):
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert_nothing_changed(ready, before)
    assert {proof.state for proof in ready.ledger.promotions()[0].replicas} == {"put back"}


def test_a_replica_that_cannot_follow_degrades_the_promotion_when_so_configured(ready, tmp_path):
    lenient = type(ready)(
        tmp_path / "lenient",
        registry=ready.registry,
        ledger=ready.ledger,
        replicas=ready.replicas,
        environment={"GATEWRIGHT_ON_REPLICA_FAILURE": "degrade"},
    )
    ready.replicas[1].fault = errors.Unreachable("vLLM", "http://vllm-1.test", "down")
    record = lenient.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert record.state == "degraded"
    assert [proof.state for proof in record.replicas] == ["verified", "failed"]
    assert aliases(ready) == {"live": 2, "previous": 1}
    ready.replicas[1].fault = None
    lenient.plane.server.reconcile(lenient.plane.healing)
    assert ready.live_roots() == [str(ready.home_of(2))] * 2, "healed when it comes back"


def moved_elsewhere(world):
    """Version 2 is promoted; then somebody points `live` at version 3 in MLflow itself."""
    world.plane.promoter.promote(MODEL, "perf-passed", ADA)
    world.add_version("candidate")
    world.registry.aliases[MODEL]["live"] = 3


def test_an_alias_moved_elsewhere_is_drift_and_moves_no_server(ready):
    moved_elsewhere(ready)
    (found,) = ready.plane.promoter.drift(MODEL)
    assert (found.alias, found.decided, found.found) == ("live", 2, 3)
    assert ready.plane.server.reconcile(ready.plane.healing) == []
    assert ready.live_roots() == [str(ready.home_of(2))] * 2
    assert "live of ops-qa was moved outside Gatewright, from v2 to v3" in ready.plane.overview.look().headline
    with pytest.raises(errors.Refused, match="moved outside Gatewright"):
        ready.plane.promoter.promote(MODEL, "previous", ADA)


def test_adopting_serves_what_the_registry_says(ready):
    moved_elsewhere(ready)
    record = ready.plane.promoter.adopt(MODEL, ADA)
    assert (record.version, record.replaces) == (3, 2)
    assert ready.live_roots() == [str(ready.home_of(3))] * 2
    assert aliases(ready)["live"] == 3
    assert ready.plane.promoter.drift(MODEL) == []
    assert ready.ledger.events()[0].action == "adopted"
    assert "outside Gatewright" in ready.ledger.events()[0].details["override"]


def test_reverting_puts_the_aliases_back(ready):
    moved_elsewhere(ready)
    event = ready.plane.promoter.revert(MODEL, ADA)
    assert (event.action, event.version, event.details["live-found"]) == ("reverted", 2, "3")
    assert {name: aliases(ready)[name] for name in ("live", "previous")} == {"live": 2, "previous": 1}
    assert ready.plane.promoter.drift(MODEL) == []


@pytest.mark.parametrize("verb", ["adopt", "revert"])
def test_without_drift_there_is_nothing_to_settle(ready, verb):
    with pytest.raises(errors.Refused, match="No alias"):
        getattr(ready.plane.promoter, verb)(MODEL, ADA)


def test_a_live_alias_that_was_removed_can_only_be_reverted(ready):
    ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    del ready.registry.aliases[MODEL]["live"]
    with pytest.raises(errors.Refused, match="nothing to adopt"):
        ready.plane.promoter.adopt(MODEL, ADA)
    ready.plane.promoter.revert(MODEL, ADA)
    assert aliases(ready) == {"live": 2, "previous": 1}


@pytest.mark.parametrize(("number", "alias"), [(2, "live"), (1, "previous")])
def test_live_and_previous_cannot_be_deleted(ready, number, alias):
    ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    with pytest.raises(errors.Refused, match=f"Version {number} is {alias} and protected"):
        ready.plane.models.remove(MODEL, number, ADA)
    assert {version.number for version in ready.registry.versions(MODEL)} == {1, 2}


def test_another_version_can_be_deleted_and_the_ledger_keeps_its_digest(ready):
    third = ready.add_version("candidate")
    ready.plane.models.remove(MODEL, 3, ADA)
    assert {version.number for version in ready.registry.versions(MODEL)} == {1, 2}
    assert ready.ledger.events()[0].details == {"digest": third.digest, "aliases": "candidate"}


@pytest.mark.parametrize(("number", "alias"), [(2, "live"), (1, "previous")])
def test_live_and_previous_stay_protected_when_somebody_moved_their_aliases_away(ready, number, alias):
    ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    aliases(ready).clear()
    for act in (ready.plane.models.remove, ready.plane.models.archive):
        with pytest.raises(errors.Refused, match=f"Version {number} is {alias} and protected"):
            act(MODEL, number, ADA)
    assert {version.number for version in ready.registry.versions(MODEL)} == {1, 2}


def test_an_archived_version_cannot_be_promoted_until_it_has_passed_again(ready):
    archived = ready.plane.models.archive(MODEL, 2, ADA)
    assert (archived.stage, archived.is_archived, archived.aliases) == ("archived", True, ())
    with pytest.raises(errors.Refused):
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    restored = ready.plane.models.restore(MODEL, 2, ADA)
    assert (restored.stage, restored.is_archived) == ("registered", False)
    assert [event.action for event in ready.ledger.events()][:2] == ["restored", "archived"]
    assert ready.ledger.events()[1].details["aliases"] == "candidate eval-passed perf-passed staged"


@pytest.mark.parametrize("call", range(8))
@pytest.mark.parametrize("verb", ["save_promotion", "close_promotion"])
def test_a_database_that_goes_away_at_any_moment_leaves_nothing_torn(ready, call, verb):
    left, original = [call], getattr(ready.ledger, verb)

    def away(*args):
        left[0] -= 1
        if left[0] < 0:
            raise errors.Unreachable("The database", "sqlite:///x", "database is locked")
        return original(*args)

    setattr(ready.ledger, verb, away)
    try:
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    except errors.Unreachable:
        setattr(ready.ledger, verb, original)
        ready.plane.promoter.recover()
    (record,) = ready.ledger.promotions()
    assert record.state in ("done", "failed")
    live = 2 if record.state == "done" else 1
    assert aliases(ready)["live"] == live
    assert ready.live_roots() == [str(ready.home_of(live))] * 2
    assert [event.action for event in ready.ledger.events()] == ["promoted"] * (live - 1)


def test_whoever_saw_another_version_live_is_told_who_was_first(ready):
    ready.plane.promoter.promote(MODEL, "perf-passed", replace(ADA, actor="grace"), expected_live=1)
    before = dict(aliases(ready))
    with pytest.raises(errors.Conflict, match="grace promoted ops-qa version 2 meanwhile, at 2026-01-01"):
        ready.plane.promoter.promote(MODEL, "previous", ADA, expected_live=1)
    assert aliases(ready) == before
    assert len(ready.ledger.promotions()) == 1


def test_aliases_in_the_middle_of_a_move_are_no_drift_but_a_conflict(ready):
    refused = []
    apply = ready.registry.apply

    def halfway(name, changes):
        for change in changes:
            apply(name, [change])
            with pytest.raises(errors.Conflict, match="ada is promoting ops-qa version 2 since") as caught:
                ready.start_plane().promoter.promote(MODEL, "perf-passed", replace(ADA, actor="bob"))
            refused.append(caught.value)

    ready.registry.apply = halfway
    ready.plane.promoter.promote(MODEL, "perf-passed", ADA)
    assert len(refused) > 2


def test_whoever_is_overtaken_between_the_plan_and_the_record_is_told_who_was_first(ready):
    open_promotion = ready.ledger.open_promotion

    def late(record):
        ready.ledger.open_promotion = open_promotion
        ready.start_plane().promoter.promote(MODEL, "perf-passed", replace(ADA, actor="grace"), expected_live=1)
        return open_promotion(record)

    ready.ledger.open_promotion = late
    with pytest.raises(errors.Conflict, match="grace promoted ops-qa version 2 meanwhile"):
        ready.plane.promoter.promote(MODEL, "perf-passed", ADA, expected_live=1)
    assert [record.state for record in ready.ledger.promotions()] == ["done", "failed"]
