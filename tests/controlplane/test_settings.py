"""The defaults are pinned, and a wrong value names the variable and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane import settings
from controlplane.core import errors, lifecycle, workflow_spec, workflows


def test_defaults_are_one_machine_on_loopback() -> None:
    found = settings.load({"GATEWRIGHT_HOME": "/srv/gw"})
    assert found.profile == "local"
    assert found.executor == "local"
    assert found.database_url == "sqlite:////srv/gw/gatewright.db"
    assert found.api_url == "http://127.0.0.1:8600"
    assert found.console_url == "http://127.0.0.1:8601"
    assert found.mlflow_url == "http://127.0.0.1:8605"
    assert found.prometheus_url == "http://127.0.0.1:8609"
    assert found.vllm_urls == ("http://127.0.0.1:8610",)
    assert found.artifacts_url == "file:///srv/gw/store"
    assert found.required_alias is lifecycle.Alias.PERF_PASSED
    assert found.embedded == {"mlflow", "vllm", "prometheus", "api"}
    assert found.timeouts == settings.Timeouts(5.0, 10.0, 120.0, 0.5, 5.0, 30.0)


def test_a_given_address_is_somebody_elses_server() -> None:
    found = settings.load({"MLFLOW_TRACKING_URI": "http://mlflow:5000", "GATEWRIGHT_VLLM_URLS": "http://a:8000/, http://b:8000"})
    assert found.embedded == {"prometheus", "api"}
    assert found.vllm_urls == ("http://a:8000", "http://b:8000")


def test_the_port_base_moves_every_port() -> None:
    found = settings.load({"GATEWRIGHT_PORT_BASE": "9000"})
    assert (found.api_url, found.mlflow_url, found.vllm_urls[0]) == (
        "http://127.0.0.1:9000",
        "http://127.0.0.1:9005",
        "http://127.0.0.1:9010",
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWRIGHT_PROFILE", "laptop"),
        ("GATEWRIGHT_EXECUTOR", "slurm"),
        ("GATEWRIGHT_PORT_BASE", "80"),
        ("GATEWRIGHT_PORT_BASE", "many"),
        ("GATEWRIGHT_PROMOTE_FROM", "candidate"),
    ],
)
def test_a_wrong_value_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(errors.InvalidInput, match=variable):
        settings.load({variable: value})


def test_workflow_defaults_carry_this_machines_addresses() -> None:
    defaults = settings.load({"GATEWRIGHT_HOME": "/srv/gw"}).workflow_defaults
    assert defaults["vllm-url"] == "http://127.0.0.1:8610"
    assert defaults["s3-data-bucket"] == "file:///srv/gw/store/datasets"
    assert defaults["adapters-dir"] == str(Path("/srv/gw/adapters"))
    for workflow in workflows.WORKFLOWS.values():
        assert workflow_spec.resolve(workflow, {}, defaults)


def test_the_cluster_profile_keeps_the_references_defaults() -> None:
    defaults = settings.load({"GATEWRIGHT_PROFILE": "cluster"}).workflow_defaults
    values = workflow_spec.resolve(workflows.PERFORMANCE, {}, defaults)
    assert (values["concurrency"], values["min-throughput"], values["candidate-adapter"]) == ("10", "2.0", "aws-rag-qa-candidate")
