"""Rolls a model back as the control plane would, in a process that kills itself before the so-many-th act on the outside.

    python -m tests.e2e.promote_and_die MODEL

Reads the number of an act from each line of its input and answers with the exit status of the process that tried: 0 when the promotion
ended before that act, -9 when it was killed there. Each is a fork of this one, which has imported everything once.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from controlplane import plane as plane_module
from controlplane import settings as settings_module
from controlplane.core import lifecycle
from controlplane.services import promote


def attempt(model: str, act: int) -> None:
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


def main(model: str) -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                attempt(model, int(line))
            except BaseException:  # noqa: BLE001 - the parent reads the status, a person the trace
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
