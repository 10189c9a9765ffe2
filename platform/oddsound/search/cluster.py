"""Ray for as long as a search takes: started here or somebody's, without its chatter, and watched."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import ray
from ray.exceptions import AuthenticationError

from oddsound import chatter
from oddsound.errors import Interrupted, SearchError
from oddsound.search.address import LOCAL, LOOK_S, answers, knock
from oddsound.search.auth import refuse_open_cluster
from oddsound.search.guard import guarded
from oddsound.search.interrupts import Interrupts

_OBJECT_STORE_BYTES = 256 << 20
_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output engine prints to stdout even with verbose=0; stdout is data
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # signals are ours, see interrupts.py
}
WORKER_ENVIRONMENT = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_ARENA_MAX": "1",
}
"""What glibc reads when a worker starts; what the driver's own environment sets stays. Freed memory is kept
then, not given back to the kernel and zeroed again for the next tensor: a step of EfficientNet-B0 takes
about two thirds of the time, for a fifth more memory (docs/results/bench.md)."""
_PATIENCE_S = {True: 10.0, False: 50.0}
"""How long a head may be silent: a local one doesn't come back, another may be restarted. Ray itself ends
the process after 60 s, with an abort."""


@contextmanager
def cluster(
    address: str, go_on: str, *, insecure: bool = False, interrupts: Interrupts | None = None
) -> Iterator[None]:
    """Ray at `address`; what was started here is ended here, however this process ends.

    Where Ray's head dies, so does this process, with exit code 5 and a line that ends in `go_on`: a
    driver that has lost its head can do nothing more. (130 after a signal: one to the whole process group
    ends a local head too.) Raises ConfigError for a cluster without
    authentication unless `insecure`.
    """
    os.environ.update(_QUIET)
    local = address == LOCAL
    with guarded() if local else nullcontext():
        knock(address)
        try:
            _connect(address, local)
            if not (local or insecure):
                refuse_open_cluster(ray.get_runtime_context().gcs_address)
            with _HeadWatch(_PATIENCE_S[local], go_on, interrupts):
                yield
        finally:
            _shut_down()


def _connect(address: str, local: bool) -> None:
    unset = {name: value for name, value in WORKER_ENVIRONMENT.items() if name not in os.environ}
    options: dict[str, Any] = {"runtime_env": {"env_vars": unset}}
    if local:
        options |= {"num_cpus": os.cpu_count(), "include_dashboard": False}
        options |= {"_node_ip_address": "127.0.0.1", "object_store_memory": _OBJECT_STORE_BYTES}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        level = logging.INFO if chatter.is_kept() else logging.ERROR
        ray.init(address, log_to_driver=False, logging_level=level, **options)
    except (ConnectionError, RuntimeError, ValueError, AuthenticationError) as error:
        raise SearchError(f"Ray at {address}: {str(error).splitlines()[0]}") from error
    except SystemExit as error:  # Ray's own handler of a SIGTERM that came while it started
        raise KeyboardInterrupt from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own in its place
    for name in ("ray.tune", "ray._private.worker"):  # what fails or dies is told by us, in a line
        logging.getLogger(name).setLevel(logging.INFO if chatter.is_kept() else logging.CRITICAL)


def _shut_down() -> None:
    """End Ray with nothing of it left to be collected.

    Tune leaves actor handles in cycles. Were one collected by the tracking thread while Ray shuts down,
    it would ask a core worker that is gone, and that ends the process without a word (seen once).
    """
    gc.collect()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        gc.enable()


class _HeadWatch(threading.Thread):
    """Looks, while the block runs, whether Ray's head answers and our own node is one of the cluster's."""

    def __init__(self, patience_s: float, go_on: str, interrupts: Interrupts | None) -> None:
        super().__init__(name="oddsound-head", daemon=True)
        context = ray.get_runtime_context()
        self.over = threading.Event()
        self._address, self._node = context.gcs_address, context.get_node_id()
        host, _, port = self._address.rpartition(":")
        self._host, self._port = host, int(port)
        self._patience_s, self._go_on, self._interrupts = patience_s, go_on, interrupts
        self._heard = time.monotonic()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()

    def run(self) -> None:
        while not self.over.wait(LOOK_S):
            if not answers(self._host, self._port):
                if self._is_interrupted or time.monotonic() - self._heard > self._patience_s:
                    self._end(f"Ray's head at {self._address} is gone")
            elif not self._is_a_node():
                self._end("Ray on this node has died")
            else:
                self._heard = time.monotonic()

    def _is_a_node(self) -> bool:
        """True where it can't be told."""
        try:
            return all(node["Alive"] for node in ray.nodes() if node["NodeID"] == self._node)
        except Exception:  # Ray has no one kind of error for a head that goes just now
            return True

    def _end(self, what: str) -> None:
        """Neither Tune nor Ray's shutdown would ever return."""
        if not self.over.is_set():
            print(f"oddsound: {what}; what has finished is safe. {self._go_on}", file=sys.stderr, flush=True)
            os._exit(Interrupted.exit_code if self._is_interrupted else SearchError.exit_code)

    @property
    def _is_interrupted(self) -> bool:
        return self._interrupts is not None and self._interrupts.heard
