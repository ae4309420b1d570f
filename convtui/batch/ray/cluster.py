"""The connection to Ray: a cluster that is started here, or one that runs elsewhere."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
import tempfile
import threading
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import convtui
from convtui.errors import EngineError, UsageError
from convtui.text.boundary import one_line

LOCAL: Final = "ray"
_OBJECT_STORE: Final = 128 << 20
"""Bytes of shared memory for a cluster that is started here: frames and logs pass through."""


def require_ray() -> Any:
    """The package. Raises `UsageError` where it is not installed."""
    # Ray tells its makers what it is used for unless this is set before.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "--on ray needs Ray, which is not installed: pip install 'convtui[ray]'"
        ) from error
    return ray


@dataclass
class Cluster:
    """A connection to Ray, with the user's folder on every node.

    `environment` are the variables that workers get beside those of their nodes.
    """

    ray: Any
    address: str
    project: Path | None = None
    """The user's folder; None where nodes need none."""
    environment: Mapping[str, str] = field(default_factory=dict)
    share: bool = True
    """Whether a folder that nodes can see is used as it is; otherwise files travel."""

    @property
    def local(self) -> bool:
        """Whether it was started here."""
        return self.address == LOCAL

    @property
    def cores(self) -> int:
        """How many cores its nodes have together."""
        return max(1, int(self.ray.cluster_resources().get("CPU", 1)))

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        project: Path | None = None,
        excludes: list[str] | None = None,
        environment: Mapping[str, str] | None = None,
        workers: int = 1,
    ) -> Cluster:
        """Starts a cluster (`ray`) or connects to one (`ray://HOST:PORT`). Blocking, seconds.

        `project` is copied to the nodes without what matches `excludes`. Raises `UsageError`
        without Ray, `EngineError` where there is no cluster, or the project is too large.
        """
        ray = require_ray()
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if address == LOCAL:
            options |= {
                "address": "local",
                "num_cpus": max(workers, os.cpu_count() or 1),
                "include_dashboard": False,
                "object_store_memory": _OBJECT_STORE,
            }
        else:
            options["address"] = address
        try:
            # Without a project an empty folder: Ray's own choice is the current one.
            with _quiet(), tempfile.TemporaryDirectory(prefix="convtui-nothing-") as empty:
                _enable_faulthandler()
                ray.init(
                    **options,
                    runtime_env={
                        "py_modules": [str(Path(convtui.__file__).parent)],
                        "working_dir": str(project or empty),
                        "excludes": ["__pycache__", *(excludes or [])],
                    },
                )
                _say_nothing()
        except Exception as error:
            failure = EngineError(_cannot_connect(address, error))
            failure.exit_code = 2
            raise failure from error
        return cls(ray, address, project, environment or {})

    def close(self) -> None:
        """Ends the connection, and a cluster that was started here. Blocking."""
        with _quiet():
            self.ray.shutdown()

    def actor(self, cls: type) -> Any:
        """A new actor of a class; nodes take turns."""
        remote = self.ray.remote(cls)
        return remote.options(
            # On this machine there are as many as are asked for, as without Ray.
            num_cpus=0 if self.local else 1,
            max_restarts=0,
            max_concurrency=16,
            scheduling_strategy="SPREAD",
        ).remote()

    def map(self, function: Callable[..., Any], tasks: list[tuple[Any, ...]]) -> Iterator[Any]:
        """What a function returns for each of the arguments, run on the nodes, in their order.

        Ray runs a task again whose node has died. Raises `EngineError` for one that cannot be run,
        and what the function raised.
        """
        remote = self.ray.remote(function).options(scheduling_strategy="SPREAD", max_retries=2)
        # Not cancelled where somebody stops early: a task that ends while it is cancelled takes the
        # whole process with it (Ray 2.60). They end with the connection.
        results = deque(remote.remote(*arguments) for arguments in tasks)
        while results:
            try:
                # Ray keeps a result as long as something refers to it.
                yield self.ray.get(results.popleft())
            except self.ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except self.ray.exceptions.RayError as error:
                raise EngineError(f"a task on the cluster was lost: {reason(error)}") from error


@contextlib.contextmanager
def mark_in(folder: Path) -> Iterator[tuple[str, str]]:
    """A file in a folder by which a node finds out whether it sees that folder: path, content."""
    content = uuid.uuid4().hex
    path = folder / f".convtui-{content[:8]}.mark"
    path.write_text(content)
    try:
        yield str(path), content
    finally:
        path.unlink(missing_ok=True)


def reason(error: BaseException) -> str:
    """What Ray says of a failure, on one line, without its advice."""
    text = str(error)
    for begins in ("The actor is dead because", "Worker exit detail:"):
        if begins in text:
            text = text[text.index(begins) :]
            break
    return one_line(text.split("Some common causes include")[0].strip(), 300)


def _cannot_connect(address: str, error: Exception) -> str:
    text = one_line(str(error), 400)
    if "exceeds the maximum size" in text or "bigger than" in text:
        return f"the folder is too large for Ray to copy: {text}"
    if address == LOCAL:
        return f"a local Ray cannot be started: {text}"
    if isinstance(error, ConnectionError) or "version" not in text.lower():
        return f"{address}: there is no Ray that answers: {text}"
    return f"{address}: {text}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Ray's advice and warnings off the terminal: a screen is drawn there."""
    logger = logging.getLogger("ray")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _enable_faulthandler() -> None:
    """Has crashes of native code told on the real standard error.

    Ray does it otherwise, on `sys.stderr`, which is no file while a screen is drawn.
    """
    if not faulthandler.is_enabled() and sys.__stderr__ is not None:
        with contextlib.suppress(OSError, ValueError):
            faulthandler.enable(sys.__stderr__, all_threads=False)


def _say_nothing() -> None:
    """Keeps the messages of a cluster's nodes off standard output, where they are printed.

    That a worker has died is said by the batch.
    """
    module = sys.modules.get("ray._private.worker")
    if module is not None and hasattr(module, "print_to_stdstream"):
        setattr(module, "print_to_stdstream", lambda *_, **__: None)  # noqa: B010


def in_thread(name: str, run: Callable[..., None], *arguments: object) -> threading.Thread:
    """Runs a function in a daemon thread: calls of Ray wait."""
    thread = threading.Thread(target=run, args=arguments, name=f"convtui-ray-{name}", daemon=True)
    thread.start()
    return thread
