"""Rolls a model back as the control plane would, and kills its own process before the so-many-th act on the outside.

    python -m tests.e2e.promote_and_die MODEL ACT

Exit status 0 when the promotion ended before that act; -9 (killed) otherwise.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from controlplane import plane as plane_module
from controlplane import settings as settings_module
from controlplane.core import lifecycle
from controlplane.services import promote


def main(model: str, act: int) -> None:
    plane = plane_module.build(settings_module.load())
    left = act

    def mortal(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **options)

        return counted

    out: Any = plane.outside
    for owner, name in ((out.ledger, "open_promotion"), (out.ledger, "save_promotion"), (out.ledger, "close_promotion")):
        setattr(owner, name, mortal(getattr(owner, name)))
    for replica in out.replicas:
        replica.unload = mortal(replica.unload)
    apply = out.registry.apply
    out.registry.apply = lambda name, changes: [mortal(apply)(name, [change]) for change in changes]
    plane.promoter.promote(model, lifecycle.Alias.PREVIOUS, promote.Caller("mortal", "cli", f"die before act {act}"))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
