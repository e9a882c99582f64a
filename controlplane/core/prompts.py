"""The one prompt format: training, serving tests and the console all ask through here, or the adapter sees what it never learned."""

from __future__ import annotations

SYSTEM = "Answer briefly from the context, or say: Not in the context."
REFUSAL = "Not in the context."


def messages(question: str, context: str) -> list[dict[str, str]]:
    """Chat messages for one question."""
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"Context: {context}\nQuestion: {question}"}]
