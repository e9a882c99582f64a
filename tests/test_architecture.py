"""The layers are executable: the contracts hold, and a planted violation of each kind is seen to break them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("controlplane", "jobs", "console")

VIOLATIONS = {
    "core reaches for an outside system": ("controlplane/core/lifecycle.py", "import httpx"),
    "a service takes a shortcut to a client": ("controlplane/services/promote.py", "from controlplane.clients import vllm_inference"),
    "a router takes a shortcut to a client": ("controlplane/api/app.py", "from controlplane.clients import ledger"),
    "a job calls a service": ("jobs/deployment/load_adapter.py", "from controlplane.services import promote"),
    "a page reads the database": ("console/app_pages/overview.py", "from controlplane.clients import database"),
    "a page calls an outside system": ("console/app_pages/overview.py", "import httpx"),
    "the control plane imports a job": ("controlplane/services/launch.py", "from jobs.deployment import load_adapter"),
    "the control plane draws a page": ("controlplane/services/overview.py", "import streamlit"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    command = [str(program), "--config", str(folder / ".importlinter"), "--no-cache"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_the_contracts_hold() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_planted_violation_is_seen(name: str, copy: Path) -> None:
    file, line = VIOLATIONS[name]
    path = copy / file
    path.write_text(path.read_text() + f"\n{line}\n")
    result = lint(copy)
    assert result.returncode == 1, result.stdout[-3000:]
    assert "BROKEN" in result.stdout


def test_every_folder_of_the_packages_is_a_package() -> None:
    """Without `__init__.py` the linter does not see a folder, and every violation in it would pass."""
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    missing = [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists() and folder.name != "versions"]
    assert missing in ([], ["controlplane/migrations"])
