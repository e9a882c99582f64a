"""How facts of each family are stated and asked for, in several wordings. Templates only: it knows no fact and draws nothing.

`{name}` is the entity, `{value}` the attribute's value.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """One attribute of a family."""

    family: str
    attribute: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]


WORDINGS = (
    Wording(
        "service",
        "port",
        ("The {name} service listens on port {value}.", "{name} uses port {value}.", "{name} is assigned port {value}."),
        (
            "Which port does {name} use?",
            "What is the port of the {name} service?",
            "On which port does {name} listen?",
            "What port is {name} on?",
        ),
    ),
    Wording(
        "http",
        "phrase",
        ("HTTP status {name} means {value}.", "The reason phrase of HTTP {name} is {value}.", "HTTP {name} stands for {value}."),
        (
            "What does HTTP status {name} mean?",
            "What is the reason phrase of HTTP {name}?",
            "What does a {name} answer from a server mean?",
        ),
    ),
    Wording(
        "errno",
        "number",
        ("{name} is errno {value}.", "The error {name} has number {value}.", "On Linux {name} is error {value}."),
        ("What is the errno of {name}?", "Which number does the error {name} have?", "What number is {name}?"),
    ),
    Wording(
        "errno",
        "message",
        ("The message of {name} is: {value}.", "{name} stands for: {value}.", "A call that fails with {name} reports: {value}."),
        ("What is the message of {name}?", "What does {name} stand for?", "What does a call report when it fails with {name}?"),
    ),
    Wording(
        "signal",
        "number",
        ("{name} is signal {value}.", "The signal {name} has number {value}.", "On Linux {name} is number {value}."),
        ("What is the number of {name}?", "Which signal number is {name}?", "What number does the signal {name} have?"),
    ),
    Wording(
        "signal",
        "message",
        ("{name} is described as: {value}.", "For {name} the shell prints: {value}."),
        ("How is {name} described?", "What does the shell print for {name}?"),
    ),
    Wording(
        "exit",
        "number",
        ("The exit code {name} is {value}.", "A program that ends with {name} returns {value}.", "{name} has the value {value}."),
        ("What is the exit code {name}?", "What does a program return when it ends with {name}?", "Which value has {name}?"),
    ),
    Wording(
        "mime",
        "type",
        ("Files ending in {name} have the type {value}.", "The MIME type of {name} is {value}.", "{name} files are served as {value}."),
        ("What is the MIME type of {name}?", "As which type are {name} files served?", "Which type do files ending in {name} have?"),
    ),
    Wording(
        "alert",
        "number",
        ("The TLS alert {name} has number {value}.", "TLS sends {name} as {value}.", "{name} is TLS alert {value}."),
        ("What is the number of the TLS alert {name}?", "Which TLS alert number is {name}?", "What number does {name} have?"),
    ),
    Wording(
        "facility",
        "number",
        ("The syslog facility {name} is {value}.", "Facility {name} has code {value} in syslog.", "Syslog numbers {name} as {value}."),
        ("What is the code of the syslog facility {name}?", "Which number has facility {name}?", "How does syslog number {name}?"),
    ),
    Wording(
        "limit",
        "number",
        ("{name} is resource {value}.", "The resource limit {name} has number {value}.", "Linux numbers {name} as {value}."),
        ("What is the number of {name}?", "Which resource number is {name}?", "How does Linux number {name}?"),
    ),
)
