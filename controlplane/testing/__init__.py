"""In-memory fakes of the ports, for tests of services and for anyone who extends Gatewright. They pass the same suite as the real clients
(`tests/ports`) and do no I/O but reading and writing the files they are handed.

Every fake has `fault`: set it to one of our errors and each call raises it, as if the outside system were down.
"""

from controlplane.testing.basics import EPOCH, adapter_files, ticks
from controlplane.testing.execution import FakeExecutor, FakeRunStore
from controlplane.testing.ledger import FakeLedger
from controlplane.testing.metrics import FakeMetrics
from controlplane.testing.registry import FakeRegistry, FakeTracking
from controlplane.testing.serving import FakeInference, FakeJudge
from controlplane.testing.stores import FakeAdapterStore, FakeObjectStore

__all__ = [
    "EPOCH",
    "FakeAdapterStore",
    "FakeExecutor",
    "FakeInference",
    "FakeJudge",
    "FakeLedger",
    "FakeMetrics",
    "FakeObjectStore",
    "FakeRegistry",
    "FakeRunStore",
    "FakeTracking",
    "adapter_files",
    "ticks",
]
