"""A real job that does as its test says: it waits for `orders.json` in its output directory, prints the lines in it, and ends as told."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--deaf", action="store_true", help="ignore SIGTERM")
    arguments = parser.parse_args()
    if arguments.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    done = 0
    deadline = time.monotonic() + 60
    (arguments.output_dir / "environment.json").write_text(json.dumps(dict(os.environ)))
    (arguments.output_dir / "ready").touch()
    while time.monotonic() < deadline:
        orders = _orders(arguments.output_dir / "orders.json")
        for line in orders.get("lines", [])[done:]:
            print(line, flush=True)
            done += 1
        if "exit_code" in orders:
            (arguments.output_dir / "outputs.json").write_text(json.dumps(orders["outputs"]))
            return int(orders["exit_code"])
        time.sleep(0.01)
    return 99


def _orders(path: Path) -> dict:
    return json.loads(path.read_text()) if path.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
