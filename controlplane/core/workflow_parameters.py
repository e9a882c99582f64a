"""Parameters that several workflows share, and the many of a load test. Values only."""

from __future__ import annotations

from controlplane.core.workflow_spec import Kind, Parameter

RULE_SETS = ("point", "interval")
BASELINES = ("auto", "live", "stored", "none")
LOOPS = ("closed", "open")
ARRIVALS = ("poisson", "constant")
ENDPOINTS = ("chat", "completions")

MODEL_NAME = Parameter("model-name", "mistral-7b-lora", "MLflow registered model.")
MLFLOW = Parameter("mlflow-tracking-uri", "http://mlflow.ai-platform:80", "MLflow server.", is_advanced=True)
VLLM = Parameter("vllm-url", "http://vllm-service.ml-models:8000", "vLLM server that serves the adapters.", is_advanced=True)
DATA = Parameter("s3-data-bucket", "s3://my-vllm-data", "Where the dataset versions lie (s3:// or file://).", is_advanced=True)
CANDIDATE_SLOT = Parameter("candidate-adapter", "aws-rag-qa-candidate", "Slot the candidate answers in; empty: <model-name>-candidate.")
LIVE_SLOT = Parameter("live-adapter", "aws-rag-qa-live", "Slot that serves users; empty: <model-name>-live.")


RULES = Parameter("rules", "interval", "Which rules decide; both are shown: measured values, or intervals.", Kind.CHOICE, RULE_SETS)
LEVEL = Parameter("level", "0.95", "Level of the confidence intervals.", Kind.NUMBER, minimum=0.5, maximum=0.999, is_advanced=True)


def positive(name: str, default: str, help: str, *, kind: Kind = Kind.NUMBER, minimum: float = 0.0, is_advanced: bool = False) -> Parameter:
    return Parameter(name, default, help, kind, minimum=minimum, is_advanced=is_advanced)


def fraction(name: str, default: str, help: str) -> Parameter:
    return Parameter(name, default, help, Kind.NUMBER, minimum=0.0, maximum=1.0)


def advanced(
    name: str, default: str, help: str, *, kind: Kind = Kind.NUMBER, minimum: float = 0.0, maximum: float | None = None
) -> Parameter:
    return Parameter(name, default, help, kind, minimum=minimum, maximum=maximum, is_advanced=True)


# How a load test asks. A baseline of `auto` lets live take turns with the candidate where its slot answers with another version.
LOAD = (
    positive("concurrency", "10", "Requests in flight.", kind=Kind.INTEGER, minimum=1),
    positive("max-tokens", "256", "Most tokens per answer.", kind=Kind.INTEGER, minimum=1),
    positive("max-samples", "0", "Most questions of each slot; 0: every row once.", kind=Kind.INTEGER),
    positive("requests", "0", "Of each slot, asking again where rows run out; 0: as many as questions.", kind=Kind.INTEGER),
    Parameter("baseline", "auto", "Live in turns (auto, live), a stored test of live, or none.", Kind.CHOICE, BASELINES),
    advanced("blocks", "4", "Turns of each slot.", kind=Kind.INTEGER, minimum=1),
    advanced("warmup-requests", "4", "Of each slot, sent first; they do not count.", kind=Kind.INTEGER),
    advanced("ramp-seconds", "0", "In which each turn's load grows; does not count."),
    Parameter(
        "loop", "closed", "closed: a number in flight; open: a rate, however slow the answers.", Kind.CHOICE, LOOPS, is_advanced=True
    ),
    advanced("rate", "1.0", "Requests/s of an open loop.", minimum=0.001),
    Parameter("arrivals", "poisson", "Of an open loop.", Kind.CHOICE, ARRIVALS, is_advanced=True),
    Parameter("endpoint", "chat", "Chat or text completions.", Kind.CHOICE, ENDPOINTS, is_advanced=True),
    advanced("max-seconds", "0", "No request begins later; 0: no limit."),
    advanced("precision", "0", "End when P95 is known to this share, such as 0.1; 0: never.", maximum=0.99),
    Parameter("sweep", "", "Loads to try after the test, such as 1,2,4,8; shows where the server is full.", is_advanced=True),
)
