"""The only reader of the environment. Frozen groups; each field says its unit, default and why. Nothing is read at import time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controlplane.core import admission, errors, lifecycle, profiles


@dataclass(frozen=True)
class Ports:
    """TCP ports of the embedded stack, all on loopback: offsets from one base, unusual so that other servers do not clash."""

    base: int = 8600

    @property
    def api(self) -> int:
        return self.base

    @property
    def console(self) -> int:
        return self.base + 1

    @property
    def mlflow(self) -> int:
        return self.base + 5

    @property
    def prometheus(self) -> int:
        return self.base + 9

    @property
    def vllm(self) -> int:
        return self.base + 10


@dataclass(frozen=True)
class Timeouts:
    """Seconds. A dead system must be named within 10 s, so connecting gets 5 and a read 10; an answer from a CPU model may take longer.

    `healing_seconds`: for so long a replica that is given its adapter back keeps promotions of that model waiting.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 10.0
    answer_seconds: float = 120.0
    tick_seconds: float = 0.5
    reconcile_seconds: float = 5.0
    healing_seconds: float = 30.0


@dataclass(frozen=True)
class Settings:
    """Everything Gatewright can be told from outside. `embedded` names the systems whose address was not given: the stack starts those."""

    profile: str
    home: Path
    database_url: str
    api_url: str
    api_token: str
    vllm_urls: tuple[str, ...]
    judge_url: str
    prometheus_url: str
    artifacts_url: str
    mlflow_url: str
    executor: str
    embedded: frozenset[str]
    required_alias: lifecycle.Alias = lifecycle.Alias.PERF_PASSED
    on_replica_failure: str = "roll-back"
    # The local server is started with this maximum; for another server it must say what that one was started with.
    max_lora_rank: int = 32
    max_adapter_bytes: int = admission.DEFAULT_MAX_BYTES
    ports: Ports = Ports()
    timeouts: Timeouts = Timeouts()

    @property
    def may_degrade(self) -> bool:
        """A promotion goes on when a replica fails, and ends as degraded; else it rolls the others back."""
        return self.on_replica_failure == "degrade"

    @property
    def console_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.console}"

    @property
    def runs_dir(self) -> Path:
        """Output directories and logs of local jobs."""
        return self.home / "runs"

    @property
    def adapters_dir(self) -> Path:
        """Immutable version directories that the local vLLM reads."""
        return self.home / "adapters"

    @property
    def base_model_dir(self) -> Path:
        return self.home / "models" / profiles.LOCAL_BASE_MODEL

    @property
    def workflow_defaults(self) -> Mapping[str, str]:
        """Parameter defaults of the profile, with this machine's addresses filled in."""
        return profiles.defaults(
            self.profile,
            {
                "mlflow-tracking-uri": self.mlflow_url,
                "vllm-url": ",".join(self.vllm_urls),
                "judge-url": self.judge_url,
                "prometheus-url": self.prometheus_url,
                "s3-data-bucket": f"{self.artifacts_url.rstrip('/')}/datasets",
                "base-model": str(self.base_model_dir),
                "adapters-dir": str(self.adapters_dir),
            },
        )


ADDRESSES = {
    "mlflow": "MLFLOW_TRACKING_URI",
    "vllm": "GATEWRIGHT_VLLM_URLS",
    "prometheus": "GATEWRIGHT_PROMETHEUS_URL",
    "api": "GATEWRIGHT_API_URL",
}


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment (the process's own when none is given).

    Raises:
        InvalidInput: an unknown profile or executor.
    """
    env = os.environ if environment is None else environment
    profile = _choice(env, "GATEWRIGHT_PROFILE", profiles.NAMES, "local")
    home = Path(env.get("GATEWRIGHT_HOME") or "~/.gatewright").expanduser().absolute()
    ports = _ports(env)
    return Settings(
        profile=profile,
        home=home,
        database_url=env.get("GATEWRIGHT_DATABASE_URL") or f"sqlite:///{home / 'gatewright.db'}",
        api_url=env.get("GATEWRIGHT_API_URL") or f"http://127.0.0.1:{ports.api}",
        api_token=env.get("GATEWRIGHT_API_TOKEN") or "",
        vllm_urls=tuple(
            url.strip().rstrip("/")
            for url in (env.get("GATEWRIGHT_VLLM_URLS") or f"http://127.0.0.1:{ports.vllm}").split(",")
            if url.strip()
        ),
        judge_url=env.get("GATEWRIGHT_JUDGE_URL") or "",
        prometheus_url=env.get("GATEWRIGHT_PROMETHEUS_URL") or (f"http://127.0.0.1:{ports.prometheus}" if profile == "local" else ""),
        artifacts_url=env.get("GATEWRIGHT_ARTIFACTS_URL") or f"file://{home / 'store'}",
        mlflow_url=env.get("MLFLOW_TRACKING_URI") or f"http://127.0.0.1:{ports.mlflow}",
        executor=_choice(env, "GATEWRIGHT_EXECUTOR", ("local", "kubernetes", "argo"), "local"),
        embedded=frozenset(name for name, variable in ADDRESSES.items() if not env.get(variable)),
        required_alias=lifecycle.Alias(_choice(env, "GATEWRIGHT_PROMOTE_FROM", tuple(lifecycle.PROMOTABLE), lifecycle.Alias.PERF_PASSED)),
        on_replica_failure=_choice(env, "GATEWRIGHT_ON_REPLICA_FAILURE", ("roll-back", "degrade"), "roll-back"),
        max_lora_rank=_whole(env, "GATEWRIGHT_MAX_LORA_RANK", 32),
        max_adapter_bytes=_whole(env, "GATEWRIGHT_MAX_ADAPTER_BYTES", admission.DEFAULT_MAX_BYTES),
        ports=ports,
    )


def _ports(env: Mapping[str, str]) -> Ports:
    value = env.get("GATEWRIGHT_PORT_BASE") or str(Ports().base)
    if not value.isdecimal() or not 1024 <= int(value) <= 65000:
        raise errors.InvalidInput(
            f"GATEWRIGHT_PORT_BASE={value!r} is not a port.", hint="Give a number from 1024 to 65000; ten ports from there are used."
        )
    return Ports(int(value))


def _whole(env: Mapping[str, str], name: str, default: int) -> int:
    value = env.get(name) or str(default)
    if not value.isdecimal() or int(value) < 1:
        raise errors.InvalidInput(f"{name}={value!r} is not a whole number above zero.")
    return int(value)


def _choice(env: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = env.get(name) or default
    if value not in allowed:
        raise errors.InvalidInput(f"{name}={value!r} is not known.", hint=f"Use one of: {', '.join(allowed)}.")
    return value
