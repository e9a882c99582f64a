"""The control plane's heartbeats: the dispatch tick and the reconcile tick, each under a lease so that one API replica beats."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from controlplane import plane
from controlplane.core import errors

logger = logging.getLogger(__name__)

LEASE_SECONDS = 30.0


@contextmanager
def running(plane: plane.Plane) -> Iterator[Mapping[str, datetime]]:
    """Both loops in threads of their own, until the block ends; when each last went well, by name."""
    beats: dict[str, datetime] = {}
    stop = threading.Event()
    timeouts = plane.settings.timeouts
    loops = (
        ("dispatch", plane.dispatcher.tick, timeouts.tick_seconds),
        ("reconcile", lambda: _reconcile(plane), timeouts.reconcile_seconds),
    )
    threads = [threading.Thread(target=_loop, args=(plane, stop, beats, *loop), name=loop[0], daemon=True) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield beats
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=5)


def _loop(
    plane: plane.Plane, stop: threading.Event, beats: dict[str, datetime], name: str, tick: Callable[[], None], seconds: float
) -> None:
    wait = 0.0  # what a killed process left is settled at once
    while not stop.wait(wait):
        wait = seconds
        try:
            plane.outside.store.beat(plane.holder, LEASE_SECONDS)
            with plane.outside.store.lease(name, plane.holder, LEASE_SECONDS) as is_ours:
                if is_ours:
                    tick()
                    beats[name] = plane.now()
        except errors.GatewrightError as error:
            logger.warning("%s waits: %s", name, error)
        except Exception:  # a fault of one tick must not end the heartbeat; it is logged whole and met again
            logger.exception("%s tick failed", name)


def _reconcile(plane: plane.Plane) -> None:
    plane.promoter.recover()
    for done in plane.server.reconcile(plane.healing):
        logger.warning("healed %s", done)
