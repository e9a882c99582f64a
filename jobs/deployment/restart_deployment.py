"""The fallback when a server will not swap adapters while it runs: a rolling restart of its Kubernetes deployment, through kubectl."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from controlplane.clients import processes
from controlplane.core import errors
from jobs import job


def main(arguments: argparse.Namespace, log: job.Log) -> Mapping[str, object]:
    target = f"deployment/{arguments.deployment}"
    _kubectl(("rollout", "restart", target, f"--namespace={arguments.namespace}"), arguments.kubectl, 30.0)
    log.info(f"Restarting {target} in {arguments.namespace}.")
    wait = ("rollout", "status", target, f"--namespace={arguments.namespace}", f"--timeout={arguments.timeout:g}s")
    _kubectl(wait, arguments.kubectl, arguments.timeout + 10)
    log.info(f"{target} is up again. Restore its adapters with init_load_adapters, unless its init container does.")
    return {"deployment": arguments.deployment, "namespace": arguments.namespace}


def _kubectl(command: Sequence[str], program: str, timeout_seconds: float) -> None:
    """Runs kubectl and waits for it.

    Raises:
        NotFound: there is no kubectl.
        OutsideError: it ended with an error, in its own words.
        Unreachable: it did not end in time.
    """
    with tempfile.TemporaryDirectory(prefix="gatewright-") as temporary:
        output = Path(temporary) / "output"
        process = processes.start((program, *command), log=output, env=dict(os.environ))
        if not processes.wait_until(lambda: not processes.is_alive(process), timeout_seconds):
            processes.stop(process, 5.0)
            raise errors.Unreachable("Kubernetes", "kubectl's current context", f"no end after {timeout_seconds:g} s")
        if (code := processes.exit_code(process)) != 0:
            said = output.read_text(errors="replace").strip()[-400:]
            raise errors.OutsideError("Kubernetes", "kubectl's current context", f"{said or 'no reason given'} (exit status {code})")


def parser() -> argparse.ArgumentParser:
    result = job.parser("Restart the vLLM deployment, one pod at a time.")
    result.add_argument("--deployment", default="vllm", help="Kubernetes deployment of the vLLM server")
    result.add_argument("--namespace", default="ml-models", help="its namespace")
    result.add_argument("--timeout", type=job.positive_number, default=600.0, help="longest wait for the rollout (seconds)")
    result.add_argument("--kubectl", default="kubectl", help="the program to run")
    return result


if __name__ == "__main__":
    job.run("restart-deployment", main, parser().parse_args())
