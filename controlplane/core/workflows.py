"""The five workflows as data: parameters, steps, arguments, dependencies, resources. Local runs, Kubernetes Jobs and Argo templates
are all derived from this one description.

Names, defaults and thresholds follow the reference of the systems Gatewright replaces. Profile-specific defaults are in `profiles`.
"""

from __future__ import annotations

from controlplane.core import errors
from controlplane.core.workflow_parameters import (
    CANDIDATE_SLOT,
    DATA,
    LEVEL,
    LIVE_SLOT,
    LOAD,
    MLFLOW,
    MODEL_NAME,
    RULES,
    VLLM,
    fraction,
    positive,
)
from controlplane.core.workflow_spec import Artifact, Const, Kind, Output, Param, Parameter, Resources, Source, Step, Workflow

LORA_CONFIGS = ("minimal", "standard", "aggressive", "high_capacity")
JUDGES = ("llm", "reference")
READINGS = ("pointwise", "pairwise")


def _pass(*names: str) -> dict[str, Source]:
    return {name: Param(name) for name in names}


# How Gate 1 decides: the judge's step needs it too, since it may stop when the verdict stands.
_DECIDING = ("min-a-rate", "max-c-rate", "min-refusal-rate", "reading", "rules", "margin", "level", "looks")

_LIGHT = Resources()
_MEDIUM = Resources(memory_request="512Mi", memory_limit="1Gi")
_BUSY = Resources("500m", "1000m", "512Mi", "1Gi")
_GPU = Resources("3", "4", "12Gi", "14Gi", gpus=1, node_group="gpu-training")

TRAINING = Workflow(
    name="training",
    title="Train an adapter",
    purpose="Fine-tune the base model with QLoRA or LoRA, check eval loss and perplexity, register the adapter as candidate.",
    ends_in="candidate",
    parameters=(
        Parameter("data-version", "1", "Version of the training data.", Kind.INTEGER, minimum=1),
        Parameter(
            "lora-config",
            "standard",
            "Adapter size: minimal r=4, standard r=8, aggressive r=16, high_capacity r=32.",
            Kind.CHOICE,
            LORA_CONFIGS,
        ),
        MODEL_NAME,
        Parameter("base-model", "mistralai/Mistral-7B-v0.1", "Base model: a hub name or a local directory."),
        Parameter("dataset", "ops-qa", "Name of the dataset below the data location."),
        positive("learning-rate", "", "Optimizer's peak learning rate (default 2e-4).", minimum=1e-8),
        positive("num-epochs", "", "Passes over the training data (default 1).", minimum=0.01),
        positive("batch-size", "", "Rows per device and step (default 4).", kind=Kind.INTEGER, minimum=1),
        positive("max-seq-length", "", "Longest row in tokens (default 1024).", kind=Kind.INTEGER, minimum=16),
        positive(
            "gradient-accumulation-steps",
            "",
            "Steps whose gradients are summed (default 4).",
            kind=Kind.INTEGER,
            minimum=1,
            is_advanced=True,
        ),
        Parameter("quantization", "nf4", "nf4: QLoRA, base in 4 bits; none: plain LoRA.", Kind.CHOICE, ("nf4", "none"), is_advanced=True),
        positive("seed", "7", "Seed of shuffling and initialization.", kind=Kind.INTEGER, is_advanced=True),
        positive("max-eval-loss", "1.0", "Quality gate: highest eval loss (nats per answer token)."),
        positive("max-perplexity", "2.0", "Quality gate: highest perplexity.", minimum=1.0),
        DATA,
        MLFLOW,
        Parameter("mlflow-experiment", "vllm-lora-training", "MLflow experiment of the training runs.", is_advanced=True),
    ),
    steps=(
        Step(
            "download-data",
            "jobs.data.download",
            {**_pass("s3-data-bucket", "dataset", "data-version"), "splits": Const("train,validation")},
            resources=_LIGHT,
            timeout_seconds=900,
            help="Fetches and validates the training data.",
        ),
        Step(
            "train",
            "jobs.training.train_lora",
            {
                "train-file": Artifact("download-data", "train.jsonl"),
                "val-file": Artifact("download-data", "validation.jsonl"),
                **_pass(
                    "data-version",
                    "dataset",
                    "lora-config",
                    "model-name",
                    "base-model",
                    "learning-rate",
                    "num-epochs",
                    "batch-size",
                    "max-seq-length",
                    "gradient-accumulation-steps",
                    "quantization",
                    "seed",
                    "mlflow-tracking-uri",
                    "mlflow-experiment",
                ),
                "log-adapter-to-mlflow": Const("true"),
            },
            needs=("download-data",),
            resources=_GPU,
            timeout_seconds=8 * 3600,
            max_retries=1,
            help="Trains the adapter and logs it to MLflow.",
        ),
        Step(
            "quality-gate",
            "jobs.training.quality_gate",
            {"run-id": Output("train", "run-id"), **_pass("model-name", "max-eval-loss", "max-perplexity", "mlflow-tracking-uri")},
            needs=("train",),
            resources=_MEDIUM,
            timeout_seconds=600,
            help="Gate 0: registers the adapter as candidate, or stops.",
        ),
    ),
)

DEPLOYMENT = Workflow(
    name="deployment",
    title="Stage a candidate",
    purpose="Load an adapter into the candidate slot of the running vLLM server, ask it test questions, mark it staged.",
    ends_in="staged",
    parameters=(
        MODEL_NAME,
        Parameter("adapter-source", "alias:candidate", "Which version: alias:<alias> or version:<number>."),
        Parameter("slot-name", "aws-rag-qa-candidate", "Slot to load into; empty: <model-name>-candidate."),
        VLLM,
        MLFLOW,
        positive("num-requests", "3", "Smoke test: number of questions.", kind=Kind.INTEGER, minimum=1),
        positive("max-latency", "30", "Smoke test: longest answer time (seconds)."),
        Parameter("adapters-dir", "", "Directory the vLLM server reads adapters from.", is_advanced=True),
    ),
    steps=(
        Step(
            "load-adapter",
            "jobs.deployment.load_adapter",
            {**_pass("model-name", "slot-name", "vllm-url", "mlflow-tracking-uri", "adapters-dir"), "source": Param("adapter-source")},
            resources=_MEDIUM,
            timeout_seconds=900,
            help="Downloads, checks and loads the adapter.",
        ),
        Step(
            "smoke-test",
            "jobs.deployment.smoke_test",
            {"vllm-url": Param("vllm-url"), "adapter-name": Output("load-adapter", "slot-name"), **_pass("num-requests", "max-latency")},
            needs=("load-adapter",),
            resources=_LIGHT,
            timeout_seconds=600,
            help="Asks test questions, checks answers and latency.",
        ),
        Step(
            "set-staged-alias",
            "jobs.deployment.set_staged_alias",
            {
                "source": Output("load-adapter", "source"),
                "fingerprint-file": Artifact("smoke-test", "fingerprint.json"),
                **_pass("model-name", "mlflow-tracking-uri"),
            },
            needs=("smoke-test",),
            resources=_LIGHT,
            timeout_seconds=300,
            help="Marks the version staged.",
        ),
    ),
)

EVALUATION = Workflow(
    name="evaluation",
    title="Gate 1: evaluate answers",
    purpose="Ask candidate and live the same unseen questions, grade the answers, decide whether the candidate is good enough.",
    ends_in="eval-passed or eval-failed",
    parameters=(
        MODEL_NAME,
        CANDIDATE_SLOT,
        LIVE_SLOT,
        VLLM,
        Parameter(
            "judge", "llm", "llm: a model grades; reference: deterministic comparison with the reference answer.", Kind.CHOICE, JUDGES
        ),
        Parameter(
            "judge-url",
            "http://judge-vllm-service.ml-models:8000",
            "Judge server (OpenAI-compatible); several by commas.",
            is_advanced=True,
        ),
        Parameter("judge-model", "", "Judge model; several by commas vote; empty: the first the server lists.", is_advanced=True),
        Parameter("allow-self-judging", "false", "Let the server under test grade itself.", Kind.FLAG, is_advanced=True),
        Parameter(
            "golden-file", "", "Answers with trusted grades (JSONL, a path its job can read); empty: those shipped.", is_advanced=True
        ),
        Parameter(
            "min-kappa",
            "0.6",
            "Lowest agreement with trusted grades at which the judge's count.",
            Kind.NUMBER,
            minimum=-1,
            maximum=1,
            is_advanced=True,
        ),
        Parameter("dataset", "ops-qa", "Name of the dataset below the data location."),
        DATA,
        MLFLOW,
        positive("max-concurrent", "15", "Requests in flight per step.", kind=Kind.INTEGER, minimum=1, is_advanced=True),
        positive("max-tokens", "48", "Longest answer in tokens.", kind=Kind.INTEGER, minimum=1, is_advanced=True),
        fraction("min-a-rate", "0.70", "Lowest share of correct answers (first deploy)."),
        fraction("max-c-rate", "0.10", "Highest share of wrong answers (first deploy)."),
        fraction("min-refusal-rate", "0.90", "Lowest share of unanswerable questions refused."),
        Parameter(
            "reading",
            "pointwise",
            "What decides: grades of each answer, or preferences between two.",
            Kind.CHOICE,
            READINGS,
            is_advanced=True,
        ),
        RULES,
        Parameter(
            "margin", "0.02", "How much worse than live is no worse (interval).", Kind.NUMBER, minimum=0.0, maximum=0.5, is_advanced=True
        ),
        LEVEL,
        Parameter("looks", "1", "Looks at which judging may end early (interval).", Kind.INTEGER, minimum=1, maximum=10, is_advanced=True),
        Parameter("compare-base", "false", "Also ask the base model, to see what training gained.", Kind.FLAG),
        Parameter("base-samples", "0", "Most questions to the base model; 0: all.", Kind.INTEGER, minimum=0, is_advanced=True),
        Parameter("mlflow-experiment", "vllm-lora-evaluation", "MLflow experiment of the evaluations.", is_advanced=True),
    ),
    steps=(
        Step(
            "download-eval-data",
            "jobs.data.download",
            {
                **_pass("s3-data-bucket", "dataset", "model-name", "mlflow-tracking-uri"),
                "source": Const("alias:staged"),
                "splits": Const("eval"),
            },
            resources=_LIGHT,
            timeout_seconds=900,
            help="Fetches the eval split of the version the candidate was trained on.",
        ),
        Step(
            "inference-candidate",
            "jobs.evaluation.run_inference",
            {
                "eval-file": Artifact("download-eval-data", "eval.jsonl"),
                "adapter-name": Param("candidate-adapter"),
                "role": Const("candidate"),
                **_pass("model-name", "vllm-url", "max-concurrent", "max-tokens"),
            },
            needs=("download-eval-data",),
            resources=_BUSY,
            help="Asks the candidate every question.",
        ),
        Step(
            "inference-live",
            "jobs.evaluation.run_inference",
            {
                "eval-file": Artifact("download-eval-data", "eval.jsonl"),
                "adapter-name": Param("live-adapter"),
                "role": Const("live"),
                "allow-missing": Const("true"),
                **_pass("model-name", "vllm-url", "max-concurrent", "max-tokens"),
            },
            needs=("download-eval-data",),
            resources=_BUSY,
            help="Asks live the same questions, when there is one.",
        ),
        Step(
            "inference-base",
            "jobs.evaluation.run_inference",
            {
                "eval-file": Artifact("download-eval-data", "eval.jsonl"),
                "role": Const("base"),
                "allow-missing": Const("true"),
                "max-samples": Param("base-samples"),
                **_pass("compare-base", "model-name", "vllm-url", "max-concurrent", "max-tokens"),
            },
            needs=("download-eval-data",),
            resources=_BUSY,
            help="Asks the base model too, when wished.",
        ),
        Step(
            "judge-answers",
            "jobs.evaluation.run_judge",
            {
                "candidate-file": Artifact("inference-candidate", "answers.jsonl"),
                "live-file": Artifact("inference-live", "answers.jsonl"),
                "base-file": Artifact("inference-base", "answers.jsonl"),
                "follow": Const("true"),
                "expected-rows": Output("download-eval-data", "rows"),
                **_pass("model-name", "candidate-adapter", "live-adapter", "vllm-url"),
                **_pass("judge", "judge-url", "judge-model", "allow-self-judging", "golden-file", "max-concurrent"),
                **_pass(*_DECIDING),
            },
            needs=("download-eval-data",),
            follows=("inference-candidate", "inference-live", "inference-base"),
            resources=_BUSY,
            help="Measures the judge, then grades and compares the answers as they come.",
        ),
        Step(
            "compare-decision",
            "jobs.evaluation.compare_decision",
            {
                "grades-file": Artifact("judge-answers", "grades.jsonl"),
                "comparisons-file": Artifact("judge-answers", "comparisons.jsonl"),
                "calibration-file": Artifact("judge-answers", "calibration.json"),
                "eval-file": Artifact("download-eval-data", "eval.jsonl"),
                "version": Output("download-eval-data", "version"),
                "data-version": Output("download-eval-data", "data-version"),
                "data-source": Output("download-eval-data", "source"),
                "judge-name": Output("judge-answers", "judge"),
                "judge-identity": Output("judge-answers", "judge-identity"),
                **_pass("model-name", "min-kappa", "mlflow-tracking-uri", "mlflow-experiment"),
                **_pass(*_DECIDING),
            },
            needs=("inference-candidate", "inference-live", "inference-base", "judge-answers"),
            resources=_LIGHT,
            timeout_seconds=600,
            help="Decides, records, sets eval-passed or eval-failed.",
        ),
    ),
)

PERFORMANCE = Workflow(
    name="performance",
    title="Gate 2: measure speed",
    purpose="Load the candidate slot with concurrent requests, measure latency, time to first token, throughput and success, decide.",
    ends_in="perf-passed or perf-failed",
    parameters=(
        MODEL_NAME,
        CANDIDATE_SLOT,
        LIVE_SLOT,
        VLLM,
        Parameter("device", "", "What the server computes on, such as its GPU; empty: as the job's machine tells.", is_advanced=True),
        Parameter(
            "prometheus-url", "http://monitoring-kube-prometheus-prometheus.ai-platform:9090", "Prometheus; empty: none.", is_advanced=True
        ),
        Parameter(
            "prometheus-matcher", "", 'Labels of the servers under test, such as namespace="ml"; empty: all it knows.', is_advanced=True
        ),
        Parameter("dataset", "ops-qa", "Name of the dataset below the data location."),
        DATA,
        MLFLOW,
        *LOAD,
        positive("max-p95-latency", "8.0", "Highest P95 end-to-end latency (seconds)."),
        positive("max-p95-ttft", "2.0", "Highest P95 time to first token (seconds)."),
        positive("min-throughput", "2.0", "Lowest throughput (requests/s)."),
        fraction("min-success-rate", "0.99", "Lowest share of requests that succeed."),
        positive("latency-regression-factor", "1.15", "Highest latency relative to the baseline.", minimum=1.0),
        fraction("throughput-regression-factor", "0.85", "Lowest throughput relative to the baseline."),
        RULES,
        Parameter(
            "success-margin",
            "0.02",
            "How much lower than the baseline's a success rate is no worse (interval).",
            Kind.NUMBER,
            minimum=0.0,
            maximum=0.5,
            is_advanced=True,
        ),
        LEVEL,
        Parameter("mlflow-experiment", "vllm-lora-performance", "MLflow experiment of the load tests.", is_advanced=True),
    ),
    steps=(
        Step(
            "download-eval-data",
            "jobs.data.download",
            {
                **_pass("s3-data-bucket", "dataset", "model-name", "mlflow-tracking-uri"),
                "source": Const("alias:eval-passed"),
                "splits": Const("eval"),
            },
            resources=_LIGHT,
            timeout_seconds=900,
            help="Fetches the questions the load is made of.",
        ),
        Step(
            "run-load-test",
            "jobs.performance.run_load_test",
            {
                "eval-file": Artifact("download-eval-data", "eval.jsonl"),
                "adapter-name": Param("candidate-adapter"),
                **_pass("model-name", "live-adapter", "vllm-url", "device", "prometheus-url", "prometheus-matcher"),
                **_pass(*(parameter.name for parameter in LOAD)),
            },
            needs=("download-eval-data",),
            resources=_BUSY,
            help="Sends the load and times every request.",
        ),
        Step(
            "perf-decision",
            "jobs.performance.perf_decision",
            {
                "results-file": Artifact("run-load-test", "results.json"),
                "samples-file": Artifact("run-load-test", "samples.parquet"),
                "eval-file": Artifact("download-eval-data", "eval.jsonl"),
                "data-source": Output("download-eval-data", "source"),
                "version": Output("download-eval-data", "version"),
                "data-version": Output("download-eval-data", "data-version"),
                **_pass(
                    "model-name",
                    "max-p95-latency",
                    "max-p95-ttft",
                    "min-throughput",
                    "min-success-rate",
                    "latency-regression-factor",
                    "throughput-regression-factor",
                    "success-margin",
                    "level",
                    "rules",
                    "baseline",
                    "mlflow-tracking-uri",
                    "mlflow-experiment",
                ),
            },
            needs=("run-load-test",),
            resources=_LIGHT,
            timeout_seconds=600,
            help="Decides, records, sets perf-passed or perf-failed.",
        ),
    ),
)

PROMOTE = Workflow(
    name="promote",
    title="Promote or roll back",
    purpose="Put a version in the live slot, keep the one it replaces as previous, clean up the gate aliases.",
    ends_in="live, previous",
    parameters=(
        MODEL_NAME,
        Parameter(
            "source-alias",
            "staged",
            "Version to promote: staged, eval-passed or perf-passed; previous: roll back.",
            Kind.CHOICE,
            ("staged", "eval-passed", "perf-passed", "previous"),
        ),
        Parameter("slot-name", "aws-rag-qa-live", "Slot to load into; empty: <model-name>-live."),
        VLLM,
        MLFLOW,
        Parameter("deployment", "vllm", "Kubernetes deployment of the vLLM server.", is_advanced=True),
        Parameter("namespace", "ml-models", "Kubernetes namespace of the vLLM server.", is_advanced=True),
        Parameter("adapters-dir", "", "Directory the vLLM server reads adapters from.", is_advanced=True),
    ),
    steps=(
        Step(
            "promote-adapter",
            "jobs.deployment.promote_adapter",
            _pass("model-name", "source-alias", "slot-name", "vllm-url", "mlflow-tracking-uri", "deployment", "namespace", "adapters-dir"),
            resources=_LIGHT,
            timeout_seconds=900,
            max_retries=0,
            help="Swaps the live slot, verifies it, moves the aliases.",
        ),
    ),
)

WORKFLOWS: dict[str, Workflow] = {w.name: w for w in (TRAINING, DEPLOYMENT, EVALUATION, PERFORMANCE, PROMOTE)}


def get(name: str) -> Workflow:
    """The workflow of this name.

    Raises:
        NotFound: there is none.
    """
    if name not in WORKFLOWS:
        raise errors.NotFound(f"There is no workflow {name!r}.", hint=f"Choose one of: {', '.join(WORKFLOWS)}.")
    return WORKFLOWS[name]
