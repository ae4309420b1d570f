"""The connection to Ray: what it is asked for, and what is said where there is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from convtui.batch.ray import cluster as clusters
from convtui.batch.ray.cluster import Cluster, mark_in, reason, require_ray
from convtui.errors import EngineError, UsageError


class FakeRay(SimpleNamespace):
    """Keeps what it was initialised with, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error
        self.options: dict[str, Any] = {}

    def init(self, **options: Any) -> None:
        self.options = options
        assert Path(options["runtime_env"]["working_dir"]).is_dir()
        if self.error is not None:
            raise self.error


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setattr(clusters, "require_ray", lambda: fake)
    return fake


def test_without_ray_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    with pytest.raises(UsageError, match=r"pip install 'convtui\[ray\]'"):
        require_ray()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0", "Ray reports to nobody"


def test_a_local_cluster_has_room_for_all_workers_and_no_dashboard(
    ray: FakeRay, tmp_path: Path
) -> None:
    made = Cluster.connect("ray", project=tmp_path, excludes=[".env"], workers=64)
    assert made.local
    options = ray.options
    assert (options["address"], options["include_dashboard"]) == ("local", False)
    assert options["num_cpus"] == 64
    runtime = options["runtime_env"]
    assert runtime["working_dir"] == str(tmp_path)
    assert runtime["excludes"] == ["__pycache__", ".env"]
    assert [Path(module).name for module in runtime["py_modules"]] == ["convtui"]
    assert "env_vars" not in runtime, "what is written there, all of Ray can read"


def test_a_cluster_elsewhere_gets_nothing_of_the_current_folder(ray: FakeRay) -> None:
    made = Cluster.connect("ray://head:10001", environment={"A_KEY": "secret"})
    assert not made.local
    assert ray.options["address"] == "ray://head:10001"
    folder = Path(ray.options["runtime_env"]["working_dir"])
    assert folder != Path.cwd()
    assert not folder.exists(), "an empty one, which is gone"
    assert "secret" not in str(ray.options)


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("ray://h:1", ConnectionError("timeout"), "ray://h:1: there is no Ray that answers"),
        ("ray://h:1", RuntimeError("Version mismatch: 2.1"), "ray://h:1: Version mismatch: 2.1"),
        ("ray", RuntimeError("no port"), "a local Ray cannot be started: no port"),
        ("ray", ValueError("exceeds the maximum size"), "the folder is too large for Ray to copy"),
    ],
)
def test_where_there_is_none(ray: FakeRay, address: str, error: Exception, message: str) -> None:
    ray.error = error
    with pytest.raises(EngineError) as caught:
        Cluster.connect(address)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_mark_by_which_a_node_knows_a_folder(tmp_path: Path) -> None:
    with mark_in(tmp_path) as (path, content):
        assert Path(path).parent == tmp_path
        assert Path(path).read_text() == content
    assert list(tmp_path.iterdir()) == []


def test_what_ray_says_without_its_advice() -> None:
    text = (
        "The actor died unexpectedly.\n\tpid: 7\nThe actor is dead because its worker process has"
        " died. Worker exit type: SYSTEM_ERROR. Some common causes include: (1) ..."
    )
    assert reason(RuntimeError(text)) == (
        "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR."
    )
