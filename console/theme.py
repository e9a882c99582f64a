"""The console's colours in light and dark: one for each role, outcome and state, for badges and charts alike. Draws nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Palette:
    """CSS colours of one mode. Text on `background` reaches a contrast of at least 4.5 with every colour here but the soft ones."""

    background: str
    surface: str
    text: str
    muted: str
    border: str
    accent: str
    candidate: str
    live: str
    good: str
    bad: str
    unsure: str
    broken: str
    candidate_soft: str
    live_soft: str
    good_soft: str
    bad_soft: str
    unsure_soft: str
    broken_soft: str
    accent_soft: str


LIGHT = Palette(
    background="#ffffff",
    surface="#f4f5f8",
    text="#1b2130",
    muted="#5b6475",
    border="#dfe2ea",
    accent="#3454d1",
    candidate="#7b4fd6",
    live="#08737f",
    good="#177545",
    bad="#c02d3c",
    unsure="#8a6100",
    broken="#5b6475",
    candidate_soft="#f1ebfd",
    live_soft="#e0f4f6",
    good_soft="#e5f5ec",
    bad_soft="#fdeaec",
    unsure_soft="#fdf3d8",
    broken_soft="#eceef4",
    accent_soft="#e8ecfb",
)

DARK = Palette(
    background="#10141c",
    surface="#1a2029",
    text="#e6e9f0",
    muted="#9aa4b5",
    border="#2b3341",
    accent="#8fa6ff",
    candidate="#b79bff",
    live="#3fcbd8",
    good="#56d394",
    bad="#ff8591",
    unsure="#f0c04f",
    broken="#9aa4b5",
    candidate_soft="#2a2342",
    live_soft="#10323a",
    good_soft="#13301f",
    bad_soft="#3a1a20",
    unsure_soft="#352a10",
    broken_soft="#232a36",
    accent_soft="#1e2747",
)

# What carries which tone. A word and an icon always stand beside it.
OUTCOME_TONES = {"pass": "good", "fail": "bad", "inconclusive": "unsure", "error": "broken", "missing": "broken"}
STATE_TONES = {
    "waiting": "broken",
    "running": "accent",
    "succeeded": "good",
    "stopped": "unsure",
    "failed": "bad",
    "cancelled": "broken",
    "done": "good",
    "agrees": "good",
    "drift": "bad",
    "idle": "broken",
}
ALIAS_TONES = {
    "candidate": "candidate",
    "staged": "candidate",
    "eval-passed": "good",
    "perf-passed": "good",
    "eval-failed": "bad",
    "perf-failed": "bad",
    "live": "live",
    "previous": "broken",
}


def palette(mode: str | None) -> Palette:
    """The colours of `dark`, else of light."""
    return DARK if mode == "dark" else LIGHT


def variables(colours: Palette) -> str:
    """The palette as CSS custom properties `--gw-<name>`."""
    pairs = "".join(f"--gw-{name.replace('_', '-')}:{value};" for name, value in asdict(colours).items())
    return f":root{{{pairs}}}"
