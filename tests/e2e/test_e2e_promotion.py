"""Promotion on real servers: two replicas under load, a control plane killed at every act, twenty people at once."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import openai
import pytest

from controlplane import plane as plane_module
from controlplane import stack as stack_module
from controlplane.clients import mlflow_registry, vllm_inference
from controlplane.core import adapters, errors, fingerprints, lifecycle, prompts
from controlplane.services import promote
from tests.conftest import free_port, serving
from tests.e2e.live_stack import MODEL, PORT_BASE, FirstVersion, Live

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500)]

SLOT = adapters.live_slot(MODEL)
# Each takes some seconds under load on two cores; .ci/run asks for fewer.
SWAPS = int(os.environ.get("GATEWRIGHT_TEST_SWAPS", "30"))
CLIENTS = 8
MOST_ACTS = 12
ADA = promote.Caller("ada", "api", "e2e")


@pytest.fixture(scope="module")
def both(live: Live, first: FirstVersion, second: object) -> Live:
    """Version 2 live, version 1 previous, on the stack's own replica."""
    live.stage_second()
    if live.api.model(MODEL).live != 2:
        live.api.promote(MODEL, "staged", "newer")
    return live


@pytest.fixture(scope="module")
def homes(both: Live) -> dict[int, Path]:
    """Where each version lies on this machine."""
    numbers = {version.number: version.digest for version in both.api.versions(MODEL)}
    names = {number: adapters.directory_name(MODEL, number, adapters.Digest(digest)) for number, digest in numbers.items()}
    return {number: both.settings.adapters_dir / name for number, name in names.items()}


@pytest.fixture(scope="module")
def start_replica(both: Live, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[AbstractContextManager[None], int]]:
    """One more vLLM over the same adapters: the context manager that runs it, and its port."""

    def start() -> tuple[AbstractContextManager[None], int]:
        command, port = list(stack_module.vllm_command(both.settings)), free_port()
        command[command.index("--port") + 1] = str(port)
        log = tmp_path_factory.mktemp("replica") / "vllm.log"
        return serving(command, stack_module.vllm_environment(both.settings), log, f"http://127.0.0.1:{port}/health", 300), port

    return start


@dataclass(frozen=True)
class Second:
    """A second replica, and the fingerprint of each version on a server that had loaded only this one.

    For version 1 that is the stack's own replica, when it was staged; for version 2 the second one, when it was new.
    """

    address: str
    alone: dict[int, fingerprints.Fingerprint]


@pytest.fixture(scope="module")
def second_replica(both: Live, start_replica, homes) -> Iterator[Second]:
    recorded = mlflow_registry.MlflowRegistry(both.settings.mlflow_url).resolve(MODEL, "version:1").tags[fingerprints.TAG]
    one = fingerprints.from_text(recorded)
    assert one is not None
    server, port = start_replica()
    with server:
        address = f"http://127.0.0.1:{port}"
        yield Second(address, {1: one, 2: alone(address, homes[2])})


def alone(address: str, home: Path) -> fingerprints.Fingerprint:
    replica = vllm_inference.VllmReplica(address)
    replica.load("alone", home)
    found = replica.fingerprint("alone")
    replica.unload("alone")
    replica.close()
    return found


@dataclass
class Load:
    """Clients that stream from the live slot of every replica until told to stop, and what went wrong for them."""

    addresses: list[str]
    answers: int = 0
    faults: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        self.threads = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def finish(self) -> None:
        """Every answer that was begun is read to its end."""
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def client(self, number: int) -> None:
        address = self.addresses[number % len(self.addresses)]
        with openai.OpenAI(base_url=f"{address}/v1", api_key="none", timeout=120, max_retries=0) as server:
            while not self.stop.is_set():
                try:
                    stream(server)
                    self.answers += 1
                except Exception as error:  # noqa: BLE001 - whatever went wrong is the finding
                    self.faults.append(f"{address}: {type(error).__name__} {error}")


def stream(server: openai.OpenAI) -> None:
    messages = prompts.messages("Which port does ssh use?", f"The ssh service listens on port {time.monotonic_ns() % 60000}.")
    reason = None
    for chunk in server.chat.completions.create(model=SLOT, messages=messages, max_tokens=4, temperature=0, stream=True):
        reason = chunk.choices[0].finish_reason or reason
    if reason not in ("stop", "length"):
        raise RuntimeError("the stream broke off")


@pytest.fixture
def load(both: Live, second_replica: Second) -> Iterator[Load]:
    clients = Load([both.settings.vllm_urls[0], second_replica.address])
    yield clients
    clients.finish()


def test_swaps_on_two_replicas_fail_no_request(both: Live, second_replica: Second, load: Load, homes: dict[int, Path]) -> None:
    plane = plane_module.build(replace(both.settings, vllm_urls=tuple(load.addresses)))
    plane.server.reconcile(plane.healing)
    load.begin()
    for _ in range(SWAPS):
        record = plane.promoter.promote(MODEL, lifecycle.Alias.PREVIOUS, ADA)
        assert record.state == "done"
        assert [proof.root for proof in record.replicas] == [str(homes[record.version])] * 2
        for replica in plane.outside.replicas:
            found = fingerprints.compare(second_replica.alone[record.version], replica.fingerprint(SLOT))
            assert found.match is fingerprints.Match.EQUAL, found.reason
    load.finish()
    for replica in plane.outside.replicas:
        replica.close()
    assert load.faults == []
    assert load.answers >= SWAPS


class Mortals:
    """Control planes that die at a chosen act."""

    def __init__(self, live: Live) -> None:
        environment = {**stack_module.environment(live.settings), "GATEWRIGHT_PORT_BASE": PORT_BASE, "PYTHONPATH": str(Path.cwd())}
        command = [sys.executable, "-m", "tests.e2e.promote_and_die", MODEL]
        self.process = subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def promote(self, act: int) -> int:
        """Exit status: 0 when it ended before this act, -9 when it was killed there."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{act}\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        assert status in (0, -9), "see the trace above"
        return status

    def close(self) -> None:
        self.process.communicate(timeout=30)


@pytest.fixture
def mortals(both: Live) -> Iterator[Mortals]:
    found = Mortals(both)
    yield found
    found.close()


def test_a_control_plane_killed_at_any_act_leaves_no_trace_but_in_the_ledger(both: Live, mortals: Mortals) -> None:
    outcomes = set()
    for act in range(MOST_ACTS):
        before = both.api.model(MODEL).live
        ended = mortals.promote(act)
        settle(both)
        after = both.api.model(MODEL)
        outcomes.add("after" if after.live != before else "before")
        assert after.aliases["previous"] != after.live
        (replica,) = both.api.replicas()
        (slot,) = [slot for slot in replica.slots if slot.name == SLOT]
        assert (slot.state, slot.wanted_version) == ("agrees", after.live)
        assert both.api.audit().faults == ()
        if ended == 0:
            break
    assert ended == 0, "the promotion has more acts than were tried"
    assert outcomes == {"before", "after"}


def settle(live: Live, seconds: float = 60) -> None:
    """Until the control plane has finished or undone what a dead process left."""
    deadline = time.monotonic() + seconds
    while any(one.state == "running" for one in live.api.promotions(MODEL, limit=5)):
        assert time.monotonic() < deadline, "a promotion stayed open"
        time.sleep(0.2)


def test_of_twenty_at_once_one_wins(both: Live) -> None:
    before = both.api.model(MODEL).live

    def press(_: int) -> str:
        try:
            both.api.rollback(MODEL, "me first", expected_live=before)
            return "won"
        except errors.Conflict as error:
            return str(error)

    with futures.ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(press, range(20)))
    assert outcomes.count("won") == 1
    assert both.api.model(MODEL).live != before
    lost = [outcome for outcome in outcomes if outcome != "won"]
    assert all(re.search(r"(is promoting .* since|promoted .* meanwhile, at) 20\d\d-", outcome) for outcome in lost), lost


def test_an_alias_moved_in_mlflow_is_drift_until_somebody_settles_it(both: Live) -> None:
    registry = mlflow_registry.MlflowRegistry(both.settings.mlflow_url)
    decided = both.api.model(MODEL).live
    assert decided is not None
    other = 3 - decided
    registry.apply(MODEL, [lifecycle.AliasChange(lifecycle.Alias.LIVE, other)])
    drift = {one.alias: one.found for one in both.api.drift(MODEL)}
    assert drift["live"] == other
    assert both.api.audit().faults != ()
    both.api.revert(MODEL, "moved by mistake")
    assert both.api.model(MODEL).live == decided
    assert both.api.drift(MODEL) == []
    assert both.api.audit().faults == ()


@contextmanager
def paused(live: Live, service: str) -> Iterator[None]:
    """Its processes take connections and never answer."""
    group = os.getpgid(live.stack.running[service].pid)
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


@contextmanager
def locked_database(live: Live, _name: str) -> Iterator[None]:
    with closing(sqlite3.connect(live.settings.database_url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


@pytest.mark.parametrize(
    ("hang", "name"), [(paused, "mlflow"), (paused, "vllm"), (locked_database, "database")], ids=["mlflow", "vllm", "db"]
)
def test_a_system_that_hangs_is_named_in_time_and_nothing_changes(both: Live, hang, name: str) -> None:
    before = both.api.model(MODEL).aliases
    with hang(both, name), pytest.raises(errors.GatewrightError, match=f"(?i){name}") as caught:
        both.api.rollback(MODEL, "while it hangs")
    assert isinstance(caught.value, errors.Unreachable)
    settle(both)
    assert both.api.model(MODEL).aliases == before
    both.api.rollback(MODEL, "now that it answers")
    assert both.api.model(MODEL).aliases["live"] == before["previous"]
    assert both.api.audit().faults == ()
