"""Random lives of a model: promotions, rollbacks, crashes at any act, aliases moved elsewhere, restarts of servers and of ourselves.

After every settled moment: at most one promotion is open and it belongs to a living process; every replica serves what was decided
last; the registry says the same unless a drift is reported; the ledger's chain is whole.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controlplane import testing
from controlplane.core import chain, errors, history
from controlplane.services import promote
from tests.controlplane.conftest import MODEL, World

ADA = promote.Caller("ada", "cli", "because")


class Killed(BaseException):
    """The process ends here: no handler of ours runs."""


class Life(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        replicas = tuple(testing.FakeInference(f"http://vllm-{number}.test") for number in range(2))
        self.world = World(Path(self.folder.name), replicas=replicas)
        self.world.store.monotonic = lambda: 0.0  # no lease expires
        self.versions = 0
        for _ in range(2):  # so that there is always a way back
            self.add()
            self.act("perf-passed")

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule()
    def add(self) -> None:
        self.versions += 1
        self.world.add_version("candidate", "staged", "eval-passed", "perf-passed")

    @rule(source=st.sampled_from(["perf-passed", "previous", "staged"]))
    def promote(self, source: str) -> None:
        self.act(source)

    def act(self, source: str) -> bool:
        """False when a rule or somebody else forbids it."""
        with contextlib.suppress(errors.Refused, errors.Conflict):
            self.world.plane.promoter.promote(MODEL, source, ADA)
            return True
        return False

    @rule(source=st.sampled_from(["perf-passed", "previous"]), acts=st.integers(0, 40))
    def crash(self, source: str, acts: int) -> None:
        """Dies at the so-many-th act on the outside, then starts again."""

        def die() -> None:
            raise Killed

        with _At(self.world, acts, die), contextlib.suppress(errors.GatewrightError, Killed):
            self.world.plane.promoter.promote(MODEL, source, ADA)
        self.restart()

    @rule(which=st.integers(0, 1))
    def server_restarts(self, which: int) -> None:
        self.world.replicas[which].slots.clear()
        self.world.plane.server.reconcile(self.world.plane.healing)

    @rule(which=st.integers(0, 1), acts=st.integers(0, 20))
    def a_promotion_comes_while_a_server_is_healed(self, which: int, acts: int) -> None:
        self.world.replicas[which].slots.clear()
        with _At(self.world, acts, lambda: self.act("perf-passed") or self.act("previous")):
            self.world.plane.server.reconcile(self.world.plane.healing)
        self.no_server_serves_anything_else()
        self.world.plane.server.reconcile(self.world.plane.healing)

    @rule(which=st.integers(0, 1), source=st.sampled_from(["perf-passed", "previous"]), acts=st.integers(0, 40))
    def servers_are_healed_while_a_promotion_runs(self, which: int, source: str, acts: int) -> None:
        self.world.replicas[which].slots.clear()
        with _At(self.world, acts, lambda: self.world.start_plane().server.reconcile(self.world.plane.healing)):
            self.act(source)
        self.no_server_serves_anything_else()
        self.world.plane.server.reconcile(self.world.plane.healing)

    @rule(which=st.integers(0, 1), source=st.sampled_from(["perf-passed", "previous"]))
    def server_is_away(self, which: int, source: str) -> None:
        before = self.decided(), dict(self.world.registry.aliases[MODEL])
        self.world.replicas[which].fault = errors.Unreachable("vLLM", "http://vllm.test", "down")
        with contextlib.suppress(errors.GatewrightError):
            self.world.plane.promoter.promote(MODEL, source, ADA)
        self.world.replicas[which].fault = None
        assert (self.decided(), dict(self.world.registry.aliases[MODEL])) == before, "refused before anything changed"

    @precondition(lambda self: self.versions > 1)
    @rule(data=st.data(), alias=st.sampled_from(["live", "previous"]), verb=st.sampled_from(["adopt", "revert"]))
    def somebody_moves_an_alias(self, data: st.DataObject, alias: str, verb: str) -> None:
        self.world.registry.aliases[MODEL][alias] = data.draw(st.integers(1, self.versions))
        if self.world.plane.promoter.drift(MODEL):
            getattr(self.world.plane.promoter, verb)(MODEL, ADA)

    def no_server_serves_anything_else(self) -> None:
        """One that lost its adapter may answer nothing yet, but never with another version than the one decided on."""
        last = self.decided()
        assert last is not None
        assert set(self.world.live_roots()) <= {"", str(self.world.home_of(last.live))}

    def restart(self) -> None:
        self.world.plane = self.world.start_plane()
        self.world.plane.promoter.recover()
        self.world.plane.server.reconcile(self.world.plane.healing)

    def decided(self) -> history.Decided | None:
        return history.decided(self.world.ledger.latest(MODEL, history.LIVE_ACTIONS))

    @invariant()
    def nothing_is_open(self) -> None:
        if hasattr(self, "world"):
            assert [record for record in self.world.ledger.promotions(limit=1000) if not record.state.is_final] == []

    @invariant()
    def servers_serve_and_registry_says_what_was_decided(self) -> None:
        if hasattr(self, "world"):
            last = self.decided()
            assert last is not None
            assert self.world.live_roots() == [str(self.world.home_of(last.live))] * 2
            assert history.drift(self.world.registry.aliases[MODEL], last) == []

    @invariant()
    def the_ledger_is_whole(self) -> None:
        if hasattr(self, "world"):
            events = list(self.world.ledger.chain())
            assert chain.faults(chain.Link(event.id, event.entry(), event.previous_hash, event.hash) for event in events) == []
            assert self.world.plane.auditor.verify().faults == ()


class _At:
    """Counts the acts on the outside, and does something before the act of this number."""

    PROMOTING = (("ledger", "open_promotion"), ("ledger", "save_promotion"), ("ledger", "close_promotion"))
    HEALING = (("registry", "models"), ("registry", "resolve"), ("ledger", "latest"), ("store", "lease"), ("ledger", "promotions"))

    def __init__(self, world: World, acts: int, something: Callable[[], object]) -> None:
        self.world, self.left, self.something = world, acts, something
        owners = [(getattr(world, owner), name) for owner, name in self.PROMOTING + self.HEALING]
        owners += [(replica, name) for replica in world.replicas for name in ("served", "load")]
        self.acts = [(owner, name, getattr(owner, name)) for owner, name in owners]

    def __enter__(self) -> None:
        for owner, name, act in self.acts:
            setattr(owner, name, self.counted(act))
        self.apply = self.world.registry.apply
        self.world.registry.apply = lambda name, changes: [self.counted(self.apply)(name, [change]) for change in changes]

    def __exit__(self, *_: object) -> None:
        for owner, name, act in self.acts:
            setattr(owner, name, act)
        self.world.registry.apply = self.apply

    def counted(self, act):
        def maybe(*args, **options):
            self.left -= 1
            if self.left == -1:
                self.something()
            return act(*args, **options)

        return maybe


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=20)
TestLife = Life.TestCase
