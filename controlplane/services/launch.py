"""Start, retry and cancel runs of a workflow. It records what is wanted; `dispatch` makes it happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from controlplane import ports
from controlplane.core import adapters, errors, journal, lifecycle, runs, workflow_spec, workflows

NEEDS_MODEL = ("deployment", "evaluation", "performance", "promote")


@dataclass(frozen=True)
class Launcher:
    """`defaults` are the profile's; `required` is the promotion policy; `new_id` and `now` are passed in so that tests decide them."""

    registry: ports.Registry
    store: ports.RunStore
    ledger: ports.Ledger
    defaults: Mapping[str, str]
    new_id: Callable[[], str]
    now: Callable[[], datetime]
    required: lifecycle.Alias = lifecycle.Alias.PERF_PASSED

    def launch(self, workflow: str, given: Mapping[str, str], *, actor: str, interface: str) -> runs.Run:
        """A new run, waiting for the next tick.

        Raises:
            NotFound: no such workflow, or no such model where the workflow needs one.
            InvalidInput: an unknown parameter, a value out of range, or a model name that no registry would take.
            Refused, Conflict: a promotion that the policy forbids, or beside another one.
        """
        definition = workflows.get(workflow)
        parameters = workflow_spec.resolve(definition, given, self.defaults)
        adapters.check_model_name(parameters["model-name"])
        if workflow in NEEDS_MODEL:
            model = self.registry.model(parameters["model-name"])
            if definition is workflows.PROMOTE:
                self._require_promotable(model, parameters["source-alias"])
        run = runs.new(runs.RunId(self.new_id()), definition, parameters, self.now(), actor, interface)
        self.store.add(run)
        self._note(run, "launched", actor, interface)
        return run

    def retry(self, run_id: runs.RunId, *, actor: str, interface: str) -> runs.Run:
        """Goes on from the first step that did not succeed; what succeeded is kept.

        Raises:
            NotFound: no such run.
            Refused: it is still going, or it succeeded.
        """
        run = runs.retried(self.store.get(run_id))
        self.store.save(run)
        self._note(run, "retried", actor, interface)
        return run

    def cancel(self, run_id: runs.RunId, *, actor: str, interface: str) -> runs.Run:
        """Asks for the end; the next tick stops the jobs. Cancelling an ended run changes nothing."""
        run = self.store.get(run_id)
        if run.state.is_final:
            raise errors.Refused(f"Run {run_id} has ended already ({run.state}).", hint="Nothing to cancel.")
        run = replace(run, is_cancel_asked=True)
        self.store.save(run)
        self._note(run, "cancel-asked", actor, interface)
        return run

    def _require_promotable(self, model: ports.Model, source: str) -> None:
        """The job alone knows no policy: what it may not do is refused before it starts."""
        lifecycle.plan_promotion(model.aliases, lifecycle.Alias(source), self.required)
        for record in self.ledger.promotions(model.name, limit=5):
            if record.state == "running":
                raise journal.taken(model.name, record.version, record.actor, record.started_at, None)
        for run in self.store.list(workflow=workflows.PROMOTE.name, model=model.name, is_active=True, limit=1):
            raise journal.taken_by_run(model.name, run.id, run.created_by, run.created_at)

    def _note(self, run: runs.Run, action: str, actor: str, interface: str) -> None:
        details = {"run": run.id, "workflow": run.workflow}
        self.ledger.append(ports.Event(self.now(), actor, interface, action, run.parameters.get("model-name", ""), None, "", details))
