"""What holds for every test: how it and the processes that it starts are set up."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.fakes.forked_engines import ForkedEngines
from tests.places import ROOT

# The suite starts some hundreds of interpreters of its own. Where compiling is told not to be
# kept, each would compile the program again: half of what a short one costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Until all tests are collected nothing is garbage.
gc.disable()

# How long an example takes says something of the machine only.
settings.register_profile(
    "suite",
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
# Of `make fuzz`, which has the time.
settings.register_profile("thorough", settings.get_profile("suite"), max_examples=2000)
settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes into the directories of whoever runs it: a key, say, that seals logs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVTUI_HOME", str(tmp_path_factory.mktemp("convtui-home")))
        yield


class SharedEngines:
    """The server that all workers' engines are forked from. It gets ready while they collect."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="convtui-engines-")
        self._address = Path(self._folder.name, "socket")
        self._engines = ForkedEngines.listening(self._address)
        self._engines.start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["engines"] = str(self._address)

    def pytest_unconfigure(self) -> None:
        self._engines.close()
        self._folder.cleanup()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Of the process that runs the workers."""
    if config.pluginmanager.hasplugin("dsession"):
        config.pluginmanager.register(SharedEngines())


@pytest.fixture(scope="session")
def fork_server(request: pytest.FixtureRequest) -> Iterator[ForkedEngines]:
    """Where engines come from."""
    shared = getattr(request.config, "workerinput", {}).get("engines")
    engines = ForkedEngines() if shared is None else ForkedEngines.connected(shared)
    yield engines
    engines.close()


@pytest.fixture(autouse=True)
def forked_engines(
    request: pytest.FixtureRequest,
    fork_server: ForkedEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Engines start at once, but for tests of the process itself: those are `real_processes`."""
    if request.node.get_closest_marker("real_processes") is not None:
        return
    if request.node.get_closest_marker("slow") is not None:
        # Here, where no clock runs: it takes seconds.
        fork_server.wait_until_ready()
    monkeypatch.setattr("convtui.client.spawn.spawn_engine", fork_server.spawn)


@pytest.fixture(autouse=True)
def own_connections() -> Iterator[None]:
    """No test gets a connection that litellm has kept from the loop of an earlier one."""
    yield
    if hasattr(litellm := sys.modules.get("litellm"), "in_memory_llm_clients_cache"):
        from convtui.models import litellm_client

        litellm_client.forget_connections(litellm)
        # Whoever has used them may be garbage that is not collected yet.
        litellm_client._USING.clear()


# What loads litellm, which takes seconds.
_MODELS = {"warmed", "litellm_clients", "models"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests come first, then files that ask models: all of them in the first worker's share.

    So slow ones, which wait for processes, run beside quick ones, which do not, and no worker is
    left with one at the end; and one worker loads litellm for all files, not each.
    """
    asking = {item.path for item in items if _MODELS & set(getattr(item, "fixturenames", ()))}
    items.sort(
        key=lambda item: (
            item.get_closest_marker("slow") is None,
            item.path not in asking,
            # One worker parses the program's own source.
            not hasattr(getattr(item, "module", None), "source_trees"),
        )
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Each worker begins to import at another place, where all tests are run.

    Side by side, each would compile every test of a fresh checkout; so each finds what others have
    compiled meanwhile.
    """
    config = session.config
    worker = getattr(config, "workerinput", None)
    if worker is None or config.args_source is not config.ArgsSource.TESTPATHS:
        return
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    first = len(files) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    for file in files[first:] + files[:first]:
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        # What is wrong with it is for the collection to say.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(name)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Thousands of tests stay until the end: the garbage collector need not visit them again and
    again, which would cost a fifth of a worker's time.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 20, 20)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """What is left over stays until the process ends; pytest would collect it five times, for
    seconds, to warn of what can be of any test.
    """
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files stay together: what they share is set up once, and those that start many processes
    run beside those that start none. Who is done first takes over from the other.
    """
    from xdist.scheduler import WorkStealingScheduling  # type: ignore[import-untyped]

    return WorkStealingScheduling(config, log)
