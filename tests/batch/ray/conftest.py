"""One local Ray for all tests of this folder: starting it takes seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from convtui.batch.ray.cluster import Cluster

PROJECT = {
    "desk/__init__.py": "",
    "desk/words.py": "GREETING = 'Good day.'\n",
    "desk/bot.py": """\
import asyncio, os, sys
from desk.words import GREETING


class Bot:
    stateful = False

    async def generate_response(self, messages):
        print("printed by the bot")
        await asyncio.sleep(0)
        return f"{GREETING} You said {messages[-1]['content']}"


class Keys(Bot):
    async def generate_response(self, messages):
        names = [name for name in sorted(os.environ) if "RAYTEST" in name]
        return " ".join(f"{name}={os.environ[name]}" for name in names) or "none"


class Steady(Bot):
    async def generate_response(self, messages):
        await asyncio.sleep(0.1)
        return await super().generate_response(messages)


class Shouting(Bot):
    def post_process_response(self, text):
        return text.upper()


class Slow(Bot):
    async def generate_response(self, messages):
        await asyncio.sleep(60)
        return "late"


class Broken(Bot):
    async def generate_response(self, messages):
        raise RuntimeError("broken on purpose")
""",
    "pyproject.toml": "",
    ".env": "RAYTEST_IN_FILE=secret\n",
    "old.jsonl": "{}\n",
}


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for name, text in PROJECT.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="session")
def cluster(project: Path) -> Iterator[Cluster]:
    """Ray on this machine, as `--on ray` starts it."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'convtui[ray]'")
    from convtui.batch.ray.cluster import Cluster
    from convtui.batch.ray.project import EXCLUDES

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as home:
        patch.setenv("HOME", home)
        patch.setenv("RAYTEST_NOT_NAMED", "must not arrive")
        cluster = Cluster.connect(
            "ray",
            project=project,
            excludes=EXCLUDES,
            environment={"RAYTEST_NAMED": "arrives"},
        )
        yield cluster
        cluster.close()


@pytest.fixture
def apart(cluster: Cluster) -> Cluster:
    """The same, as if its nodes saw no folder of this machine."""
    return replace(cluster, share=False)
