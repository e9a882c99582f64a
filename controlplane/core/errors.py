"""Every error Gatewright raises on purpose. Each says what happened and what to do next; none carries a secret.

Temporary and permanent faults differ by type, so nobody has to read a message to decide whether to retry.
"""

from __future__ import annotations


class GatewrightError(Exception):
    """Base of all our errors. `detail` says what happened, `hint` what to do next; `request_id` is set where the API answered."""

    title = "Gatewright error"
    request_id = ""

    def __init__(self, detail: str, *, hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}".strip()


class InvalidInput(GatewrightError):
    """The caller gave something that can never work: wrong argument, malformed row, unknown profile."""

    title = "Invalid input"


class NotFound(GatewrightError):
    """The named model, version, alias, run or dataset does not exist."""

    title = "Not found"


class Refused(GatewrightError):
    """A rule said no: a gate not passed, a promotion not allowed by policy."""

    title = "Refused by a rule"


class Conflict(GatewrightError):
    """Somebody else holds it: a promotion is running, a port is taken."""

    title = "Conflict"


class Unreachable(GatewrightError):
    """An outside system did not answer in time. Temporary: retrying may help."""

    title = "Outside system unreachable"

    def __init__(self, system: str, address: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{system} at {address} did not answer: {reason}.", hint=hint or f"Check that {system} runs there.")
        self.system = system
        self.address = address


class OutsideError(GatewrightError):
    """An outside system answered, but with a refusal or something unreadable. Permanent: retrying as is will not help."""

    title = "Outside system refused"

    def __init__(self, system: str, address: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{system} at {address} refused: {reason}.", hint=hint)
        self.system = system
        self.address = address


class NoSpace(GatewrightError):
    """The disk is full or the directory cannot be written."""

    title = "No space left"
