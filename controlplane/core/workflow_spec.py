"""What a workflow is: parameters, steps, where each argument's value comes from; and how values become a command line. It runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from controlplane.core import errors


class Kind(StrEnum):
    """How a parameter's text is read and which form field shows it."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    CHOICE = "choice"
    FLAG = "flag"


@dataclass(frozen=True)
class Parameter:
    """One setting of a workflow. An empty default means: the step decides, so its argument is left out."""

    name: str
    default: str
    help: str
    kind: Kind = Kind.TEXT
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    is_advanced: bool = False


@dataclass(frozen=True)
class Param:
    """An argument's value is the run's parameter of this name."""

    name: str


@dataclass(frozen=True)
class Output:
    """An argument's value is a small output of an earlier step."""

    step: str
    key: str


@dataclass(frozen=True)
class Artifact:
    """An argument's value is the place where the executor laid a file that an earlier step wrote below its output directory."""

    step: str
    path: str


@dataclass(frozen=True)
class Const:
    value: str


Source = Param | Output | Artifact | Const


@dataclass(frozen=True)
class Resources:
    """What a step asks for, in Kubernetes' units; the local executor reads `gpus` only."""

    cpu_request: str = "250m"
    cpu_limit: str = "500m"
    memory_request: str = "256Mi"
    memory_limit: str = "512Mi"
    gpus: int = 0
    node_group: str = ""


@dataclass(frozen=True)
class Step:
    """One job: `python -m <module> --<flag>=<value> ... --output-dir=<dir>`.

    It starts when the steps it `needs` have succeeded and those it `follows` at least run: it reads what they write as they write it.
    """

    name: str
    module: str
    arguments: Mapping[str, Source]
    needs: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    timeout_seconds: int = 3600
    max_retries: int = 2
    help: str = ""


@dataclass(frozen=True)
class Workflow:
    name: str
    title: str
    purpose: str
    ends_in: str
    parameters: tuple[Parameter, ...]
    steps: tuple[Step, ...]

    def parameter(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise errors.InvalidInput(
            f"Workflow {self.name} has no parameter {name!r}.", hint=f"It knows: {', '.join(p.name for p in self.parameters)}."
        )

    def step(self, name: str) -> Step:
        for step in self.steps:
            if step.name == name:
                return step
        raise errors.NotFound(f"Workflow {self.name} has no step {name!r}.", hint=f"It has: {', '.join(s.name for s in self.steps)}.")


def resolve(workflow: Workflow, given: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every parameter's value as text: given, else the profile's default, else the workflow's own.

    Args:
        defaults: of a profile, by `workflow:parameter` or, where several workflows share it, by `parameter`.

    Raises:
        InvalidInput: an unknown parameter, or a value out of its kind, choices or range.
    """
    for name in given:
        workflow.parameter(name)
    own = {parameter.name: parameter.default for parameter in workflow.parameters}
    shared = {name: value for name, value in (defaults or {}).items() if name in own}
    special = {name: defaults[f"{workflow.name}:{name}"] for name in own if f"{workflow.name}:{name}" in defaults} if defaults else {}
    values = {**own, **shared, **special, **given}
    for parameter in workflow.parameters:
        values[parameter.name] = check_value(parameter, values[parameter.name])
    return values


def check_value(parameter: Parameter, value: str) -> str:
    """The value in normal form.

    Raises:
        InvalidInput: naming the parameter, the value and what is allowed.
    """
    value = str(value).strip()
    if value == "":
        return value
    match parameter.kind:
        case Kind.CHOICE:
            _require(value in parameter.choices, parameter, value, f"Choose one of: {', '.join(parameter.choices)}.")
        case Kind.FLAG:
            value = value.lower()
            _require(value in ("true", "false"), parameter, value, "Say true or false.")
        case Kind.INTEGER | Kind.NUMBER:
            _check_number(parameter, value)
        case Kind.TEXT:
            _require(value.isprintable(), parameter, value, "Use printable characters on one line.")
    return value


def arguments(
    step: Step, parameters: Mapping[str, str], outputs: Mapping[str, Mapping[str, str]], artifact_dirs: Mapping[str, str]
) -> list[str]:
    """The step's command-line arguments; a flag whose value is empty is left out, and a true flag stands alone.

    Args:
        outputs: small outputs of finished steps, by step name.
        artifact_dirs: the output directory of each step that has started as this step will see it, by step name.
    """
    result = []
    for flag, source in step.arguments.items():
        value = _value(source, parameters, outputs, artifact_dirs)
        if value == "true":
            result.append(f"--{flag}")
        elif value not in ("", "false"):
            result.append(f"--{flag}={value}")
    return result


def _value(
    source: Source, parameters: Mapping[str, str], outputs: Mapping[str, Mapping[str, str]], artifact_dirs: Mapping[str, str]
) -> str:
    match source:
        case Param(name):
            return parameters[name]
        case Output(step, key):
            return str(outputs.get(step, {}).get(key, ""))
        case Artifact(step, path):
            return f"{artifact_dirs[step]}/{path}"
        case Const(value):
            return value


def _check_number(parameter: Parameter, value: str) -> None:
    try:
        number = int(value) if parameter.kind is Kind.INTEGER else float(value)
    except ValueError:
        raise errors.InvalidInput(
            f"{parameter.name}={value!r} is not {'a whole number' if parameter.kind is Kind.INTEGER else 'a number'}.", hint=parameter.help
        ) from None
    low, high = parameter.minimum, parameter.maximum
    bounds = f"It must lie between {low if low is not None else 'any'} and {high if high is not None else 'any'}."
    _require(number == number and (low is None or number >= low) and (high is None or number <= high), parameter, value, bounds)


def _require(holds: bool, parameter: Parameter, value: str, hint: str) -> None:
    if not holds:
        raise errors.InvalidInput(f"{parameter.name}={value!r} is not allowed.", hint=hint)
