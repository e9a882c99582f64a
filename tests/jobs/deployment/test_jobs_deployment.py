"""Deployment's jobs on fakes of the ports: staging, smoke test, promotion, restoring, restart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controlplane import ports, testing
from controlplane.core import errors
from jobs import job
from jobs.deployment import init_load_adapters, load_adapter, promote_adapter, restart_deployment, serving, set_staged_alias, smoke_test

LOG = job.Log("test")


@pytest.fixture
def registry() -> testing.FakeRegistry:
    made = testing.FakeRegistry()
    made.add("ops-qa", aliases=["live"])
    made.add("ops-qa", aliases=["candidate", "staged", "perf-passed"])
    return made


def home(registry: testing.FakeRegistry, tmp_path: Path, number: int) -> Path:
    return tmp_path / "adapters" / "ops-qa" / f"{number}-{registry.resolve('ops-qa', f'version:{number}').digest[:12]}"


def load(registry: testing.FakeRegistry, servers: Sequence[ports.Inference], tmp_path: Path, *flags: str) -> dict[str, object]:
    arguments = load_adapter.parser().parse_args(["--model-name=ops-qa", f"--adapters-dir={tmp_path / 'adapters'}", *flags])
    return dict(load_adapter.load(registry, servers, arguments, LOG))


def promote(registry: testing.FakeRegistry, servers: Sequence[ports.Inference], tmp_path: Path, *flags: str) -> dict[str, object]:
    arguments = promote_adapter.parser().parse_args(["--model-name=ops-qa", f"--adapters-dir={tmp_path / 'adapters'}", *flags])
    return dict(promote_adapter.promote(registry, servers, arguments, LOG))


# -- load ---------------------------------------------------------------------------------------------------------------------


def test_candidate_is_loaded_from_its_own_directory(registry: testing.FakeRegistry, tmp_path: Path) -> None:
    server = testing.FakeInference()
    outputs = load(registry, [server], tmp_path)
    directory = home(registry, tmp_path, 2)
    assert server.slots == {"ops-qa-candidate": directory}
    assert sorted(path.name for path in directory.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert (outputs["version"], outputs["slot-name"], outputs["source"], outputs["directory"]) == (
        2,
        "ops-qa-candidate",
        "version:2",
        directory,
    )
    assert outputs["digest"] == registry.resolve("ops-qa", "version:2").digest
    assert registry.applied == []


def test_files_that_are_not_the_registered_ones_are_refused(registry: testing.FakeRegistry, tmp_path: Path) -> None:
    version = registry.resolve("ops-qa", "version:2")
    registry.tracking.files[version.run_id, "adapter/adapter_model.safetensors"] = b"changed"
    server = testing.FakeInference()
    with pytest.raises(errors.OutsideError, match="digest"):
        load(registry, [server], tmp_path)
    assert server.slots == {}


@pytest.mark.parametrize(
    ("source", "fault"), [("alias:nothing", errors.NotFound), ("version:9", errors.NotFound), ("newest", errors.InvalidInput)]
)
def test_unknown_sources_are_named(registry: testing.FakeRegistry, tmp_path: Path, source: str, fault: type[Exception]) -> None:
    with pytest.raises(fault):
        load(registry, [testing.FakeInference()], tmp_path, f"--source={source}")


def test_only_a_promotion_changes_the_live_slot(registry: testing.FakeRegistry, tmp_path: Path) -> None:
    with pytest.raises(errors.Refused, match="is the live slot"):
        load(registry, [testing.FakeInference()], tmp_path, "--slot-name=ops-qa-live")


def test_a_version_without_a_digest_is_refused(tmp_path: Path) -> None:
    registry = testing.FakeRegistry()
    registry.add("ops-qa", aliases=["candidate"], tags={"digest": ""})
    with pytest.raises(errors.InvalidInput, match="no tag digest"):
        load(registry, [testing.FakeInference()], tmp_path)


# -- smoke test ---------------------------------------------------------------------------------------------------------------


def smoke(server: testing.FakeInference, tmp_path: Path, *flags: str) -> dict[str, object]:
    arguments = smoke_test.parser().parse_args(["--adapter-name=slot", f"--output-dir={tmp_path}", *flags])
    return dict(smoke_test.smoke(server, arguments, LOG))


def test_smoke_test_asks_as_often_as_told(tmp_path: Path) -> None:
    outputs = smoke(testing.FakeInference(slots={"slot": Path("/a")}), tmp_path, "--num-requests=5")
    assert (outputs["passed"], outputs["requests"]) == (5, 5)
    assert len((tmp_path / "replies.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("reply", "flag", "says"), [("", "--num-requests=1", "answer is empty"), ("22", "--max-latency=0.1", r"took 0\.2 s, more than 0\.1 s")]
)
def test_empty_or_slow_answers_do_not_pass(tmp_path: Path, reply: str, flag: str, says: str) -> None:
    server = testing.FakeInference(slots={"slot": Path("/a")}, reply=lambda root, messages: reply)
    with pytest.raises(job.GateNotPassed, match=says) as stop:
        smoke(server, tmp_path, flag)
    assert (stop.value.outputs["outcome"], stop.value.outputs["passed"]) == ("fail", 0)


def test_a_slot_that_is_not_served_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="It serves: base"):
        smoke(testing.FakeInference(), tmp_path)


def test_staged_moves_to_the_version(registry: testing.FakeRegistry) -> None:
    arguments = set_staged_alias.parser().parse_args(["--model-name=ops-qa", "--source=version:1"])
    set_staged_alias.stage(registry, arguments, LOG, datetime(2026, 1, 2, tzinfo=UTC))
    assert registry.aliases["ops-qa"]["staged"] == 1
    assert registry.resolve("ops-qa", "version:1").tags["staged-at"].startswith("2026-01-02")


# -- promote ------------------------------------------------------------------------------------------------------------------


def test_promotion_and_rollback_swap_slot_and_aliases(registry: testing.FakeRegistry, tmp_path: Path) -> None:
    server = testing.FakeInference()
    outputs = promote(registry, [server], tmp_path, "--source-alias=perf-passed")
    assert registry.aliases["ops-qa"] == {"live": 2, "previous": 1}
    assert server.slots["ops-qa-live"] == home(registry, tmp_path, 2) == outputs["directory"]
    assert (outputs["version"], outputs["replaces"]) == (2, 1)
    promote(registry, [server], tmp_path, "--source-alias=previous")
    assert registry.aliases["ops-qa"] == {"live": 1, "previous": 2}
    assert server.slots["ops-qa-live"] == home(registry, tmp_path, 1)


def test_a_replica_that_cannot_load_leaves_aliases_and_the_others_as_they_were(registry: testing.FakeRegistry, tmp_path: Path) -> None:
    good = testing.FakeInference(address="http://one.test", slots={"ops-qa-live": Path("/old")})
    bad = testing.FakeInference(address="http://two.test", slots={"ops-qa-live": Path("/old")}, broken={home(registry, tmp_path, 2)})
    with pytest.raises(errors.OutsideError, match=r"http://two\.test"):
        promote(registry, [good, bad], tmp_path, "--source-alias=perf-passed")
    assert registry.applied == []
    assert good.slots["ops-qa-live"] == bad.slots["ops-qa-live"] == Path("/old")


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--source-alias=eval-passed"], "No version carries"),
        (["--source-alias=staged", "--require=perf-passed"], "policy asks for perf-passed"),
        (["--source-alias=previous"], "no previous version"),
        (["--source-alias=candidate"], "cannot start from"),
        (["--source-alias=newest"], "no alias 'newest'"),
    ],
)
def test_refused_promotions_change_nothing(registry: testing.FakeRegistry, tmp_path: Path, flags: list[str], fault: str) -> None:
    server = testing.FakeInference()
    with pytest.raises((errors.Refused, errors.InvalidInput), match=fault):
        promote(registry, [server], tmp_path, *flags)
    assert (server.loads, registry.applied) == ([], [])


def test_by_hand_the_given_alias_is_the_policy(registry: testing.FakeRegistry, tmp_path: Path) -> None:
    assert promote(registry, [testing.FakeInference()], tmp_path, "--source-alias=staged")["version"] == 2


# -- restore and restart ------------------------------------------------------------------------------------------------------


def restored(registry: testing.FakeRegistry, servers: Sequence[ports.Inference], tmp_path: Path) -> dict[str, object]:
    arguments = init_load_adapters.parser().parse_args(["--model-name=ops-qa", f"--adapters-dir={tmp_path / 'adapters'}"])
    return dict(init_load_adapters.restore(registry, servers, arguments, LOG))


def test_cold_start_restores_live_and_staged(registry: testing.FakeRegistry, tmp_path: Path) -> None:
    server = testing.FakeInference()
    outputs = restored(registry, [server], tmp_path)
    assert server.slots == {"ops-qa-live": home(registry, tmp_path, 1), "ops-qa-candidate": home(registry, tmp_path, 2)}
    assert (outputs["restored"], outputs["live-version"], outputs["staged-version"]) == (2, 1, 2)


def test_cold_start_of_files_only_asks_no_server(registry: testing.FakeRegistry, tmp_path: Path) -> None:
    assert restored(registry, [], tmp_path)["restored"] == 2
    assert home(registry, tmp_path, 1).is_dir()


def test_a_first_start_has_nothing_to_restore(tmp_path: Path) -> None:
    assert restored(testing.FakeRegistry(), [testing.FakeInference()], tmp_path) == {"restored": 0}


def test_several_servers_are_separated_by_commas() -> None:
    assert [server.address for server in serving.replicas("http://a.test:1/, http://b.test:2")] == ["http://a.test:1", "http://b.test:2"]
    with pytest.raises(errors.InvalidInput, match="No vLLM server"):
        serving.replicas(" , ")


def restart(program: Path, *flags: str) -> dict[str, object]:
    return dict(restart_deployment.main(restart_deployment.parser().parse_args([f"--kubectl={program}", *flags]), LOG))


def test_restart_waits_for_the_rollout(tmp_path: Path) -> None:
    program = tmp_path / "kubectl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path / "calls"}\n')
    program.chmod(0o755)
    restart(program, "--deployment=vllm-b", "--namespace=serving")
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0] == "rollout restart deployment/vllm-b --namespace=serving"
    assert calls[1].startswith("rollout status deployment/vllm-b")


def test_restart_repeats_what_kubectl_said(tmp_path: Path) -> None:
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\necho 'deployments.apps \"vllm\" not found' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(errors.OutsideError, match=r'deployments.apps "vllm" not found'):
        restart(program)


def test_restart_without_kubectl_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="Install the program"):
        restart(tmp_path / "missing")
