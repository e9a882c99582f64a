"""Tells whether an answer refuses, that is says that the context does not hold it. It does not judge whether it should have."""

from __future__ import annotations

import re

_SOURCE = (
    r"(?:(?:the|this|that|given|provided|above|supplied|available)\s+)*(?:context|text|passage|information|document|paragraph|excerpt)"
)
_TOLD = (
    r"(?:mention|state|say|specif|provid|contain|includ|giv|indicat|answer|tell|describ|cover|list|explain|address|find|found|present"
    r"|available)"
)
_NOT = r"(?:(?:do(?:es)?|did|is|are|was|were|can|could)\s*(?:not|n[o']?t)|cannot|never|fails?\s+to|lacks?|no)"

_PHRASES = tuple(
    re.compile(phrase)
    for phrase in (
        rf"\bnot\s+(?:\w+\s+){{0,3}}(?:in|from|by|within)\s+{_SOURCE}\b",
        rf"\b{_SOURCE}\s+(?:\w+\s+){{0,2}}?{_NOT}\s+(?:\w+\s+){{0,2}}?{_TOLD}",
        rf"\b{_SOURCE}\s+(?:lacks|has\s+no|contains\s+no|gives\s+no|provides\s+no)\b",
        r"\b(?:do\s*n[o']?t|do\s+not|cannot|can\s*not|can'?t|could\s*not|couldn'?t|unable\s+to|not\s+able\s+to|not\s+possible\s+to)\s+"
        r"(?:be\s+)?(?:know|answer|determin|say|tell|find|infer|deduc)",
        r"\b(?:no|not\s+enough|not\s+sufficient|insufficient|lack\s+of)\s+(?:\w+\s+){0,2}?(?:information|context|details?|mention|evidence)\b",
        r"\b(?:is|was|are|were|been)\s*(?:not|n't)\s+(?:\w+\s+)?(?:mentioned|stated|specified|provided|given|known|indicated|answerable)\b",
        r"^\W*(?:not|isn't)\s+(?:mentioned|stated|specified|provided|given|answerable|known)\W*$",
        r"^\W*(?:unknown|unanswerable|n/?a|no\s+answer)\W*$",
    )
)
_CONTRAST = re.compile(r"\b(?:but|however|although|though|nevertheless|still)\b")


def is_refusal(answer: str) -> bool:
    """True when the answer refuses and does not go on to answer all the same ("Not in the context, but usually it is 22")."""
    text = _plain(answer)
    last = max((match.end() for phrase in _PHRASES for match in phrase.finditer(text)), default=0)
    if last == 0:
        return False
    contrast = _CONTRAST.search(text, last)
    return contrast is None or len(text[contrast.end() :].split()) < 2


def _plain(answer: str) -> str:
    return " ".join(answer.lower().replace("\u2019", "'").split())
