"""GATEWRIGHT_REQUIRE_REAL=1 turns every skip into a failure, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import pytest

def test_called(): pytest.skip("no such part")
@pytest.mark.skip(reason="marked")
def test_marked(): pass
@pytest.mark.xfail(reason="known", strict=True)
def test_expected(): assert False
def test_fine(): pass
"""


@pytest.mark.parametrize(
    ("required", "expected"), [("1", "1 failed, 1 passed, 1 xfailed, 1 error"), ("", "1 passed, 2 skipped, 1 xfailed")]
)
def test_skips_with_and_without(tmp_path: Path, required: str, expected: str) -> None:
    shutil.copy(Path(__file__).parent / "conftest.py", tmp_path)
    (tmp_path / "test_some.py").write_text(SUITE)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "GATEWRIGHT_REQUIRE_REAL": required},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert expected in result.stdout, result.stdout + result.stderr
    assert ("no such part (GATEWRIGHT_REQUIRE_REAL=1 allows no skip)" in result.stdout) == (required == "1")
