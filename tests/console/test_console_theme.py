"""The palette: readable in both modes, and the same as the theme that Streamlit is given."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

import console
from console import theme

MODES = {"light": theme.LIGHT, "dark": theme.DARK}
INKS = ("text", "muted", "candidate", "live", "good", "bad", "unsure", "broken")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ink", INKS)
def test_every_ink_is_readable_on_the_page(mode: str, ink: str) -> None:
    colours = asdict(MODES[mode])
    assert _contrast(colours[ink], colours["background"]) >= 4.5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ink", ["candidate", "live", "good", "bad", "unsure", "accent"])
def test_every_badge_is_readable(mode: str, ink: str) -> None:
    colours = asdict(MODES[mode])
    assert _contrast(colours[ink], colours[f"{ink}_soft"]) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_streamlit_is_given_the_same_theme(mode: str) -> None:
    config = Path(console.__file__).parent / ".streamlit" / "config.toml"
    given = tomllib.loads(config.read_text(encoding="utf-8"))["theme"][mode]
    colours = MODES[mode]
    assert (given["backgroundColor"], given["secondaryBackgroundColor"], given["textColor"], given["borderColor"]) == (
        colours.background,
        colours.surface,
        colours.text,
        colours.border,
    )
    assert given["chartCategoricalColors"][:2] == [colours.candidate, colours.live]


def test_an_unknown_mode_is_light() -> None:
    assert theme.palette(None) is theme.LIGHT


def _contrast(first: str, second: str) -> float:
    """Contrast ratio of WCAG 2.2, 1 to 21."""
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
