"""A server of adapters in memory, and a judge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from controlplane import ports
from controlplane.core import datasets, errors, fingerprints, pairwise
from controlplane.testing.basics import raise_fault


@dataclass
class FakeInference:
    """One replica. `reply` makes the answer's text from the served root and the messages; one word is one token, and no time passes."""

    address: str = "http://vllm.test:8000"
    base: str = "base"
    fault: errors.GatewrightError | None = None
    slots: dict[str, Path] = field(default_factory=dict)
    broken: set[Path] = field(default_factory=set)
    loads: list[tuple[str, Path]] = field(default_factory=list)
    reply: Callable[[str, Sequence[Mapping[str, str]]], str] = lambda root, messages: f"{Path(root).name} says {messages[-1]['content']}"
    metrics: str = ""

    def is_healthy(self) -> bool:
        return self.fault is None

    def served(self) -> list[ports.Served]:
        raise_fault(self.fault)
        slots = [ports.Served(slot, str(directory), self.base) for slot, directory in self.slots.items()]
        return [ports.Served(self.base, self.base, ""), *slots]

    def load(self, slot: str, directory: Path) -> ports.Swap:
        raise_fault(self.fault)
        if self.slots.get(slot) != directory:
            self.slots.pop(slot, None)
            if directory in self.broken:
                raise errors.OutsideError("vLLM", self.address, f"cannot load {directory}")
            self.slots[slot] = directory
            self.loads.append((slot, directory))
        return ports.Swap(str(directory), 0.2)

    def unload(self, slot: str) -> None:
        raise_fault(self.fault)
        self.slots.pop(slot, None)

    def fingerprint(self, name: str) -> fingerprints.Fingerprint:
        words = [self.chat(name, [{"role": "user", "content": prompt}], max_tokens=4).text.split() for prompt in fingerprints.PROMPTS]
        return fingerprints.Fingerprint("fake", tuple(tuple(fingerprints.Token(word, -0.5, {}) for word in answer) for answer in words))

    def chat(
        self,
        name: str,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int,
        temperature: float = 0.0,  # noqa: ARG002 - the port's signature
    ) -> ports.Answer:
        raise_fault(self.fault)
        root = {served.name: served.root for served in self.served()}.get(name)
        if root is None:
            raise errors.NotFound(f"vLLM at {self.address} serves no {name!r}.")
        words = self.reply(root, messages).split()
        kept = words[:max_tokens]
        prompt_tokens = sum(len(message["content"].split()) for message in messages)
        finish_reason = "stop" if kept == words else "length"
        return ports.Answer(" ".join(kept), finish_reason, prompt_tokens, len(kept), None, 0.2)

    @asynccontextmanager
    async def kept_open(self) -> AsyncIterator[FakeInference]:
        yield self

    async def stream(
        self, name: str, messages: Sequence[Mapping[str, str]], *, max_tokens: int, temperature: float = 0.0
    ) -> AsyncIterator[ports.Delta]:
        answer = self.chat(name, messages, max_tokens=max_tokens, temperature=temperature)
        for number, word in enumerate(answer.text.split()):
            yield ports.Delta(f" {word}" if number else word)
        yield ports.Delta("", replace(answer, first_token_seconds=0.1 if answer.text else None))

    def metrics_text(self) -> str:
        raise_fault(self.fault)
        return self.metrics


@dataclass
class FakeJudge:
    """A for the reference answer, C for any other, unless `letters` says otherwise for the row's id."""

    name: str = "fake"
    fault: errors.GatewrightError | None = None
    letters: dict[str, str] = field(default_factory=dict)

    def grade(self, row: datasets.Row, answer: str) -> ports.Grade:
        raise_fault(self.fault)
        own = "A" if answer.strip().casefold() == row.answer.strip().casefold() else "C"
        letter = self.letters.get(row.id, own)
        return ports.Grade(letter, "scripted" if row.id in self.letters else "compared with the reference")

    def prefer(self, row: datasets.Row, first: str, second: str) -> pairwise.Preference:
        one, two = (self.grade(row, answer).letter for answer in (first, second))
        return pairwise.Preference("TIE" if one == two else "1" if one < two else "2", f"{one} against {two}")
