"""The built wheel in an environment of its own: data is found inside the installed package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from convtui.manual.pages import TOPICS
from tests.e2e.terminal import Terminal, clean_environment, convtui
from tests.places import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and its dependencies, but no checkout."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    dependencies = sysconfig.get_path("purelib")
    # A path file of ours adds the dependencies; theirs, which add the checkout, are not read.
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run(
        [*pip, "--no-index", "--ignore-installed", str(wheel)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    return python


def run(python: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the installed convtui, without a terminal."""
    return subprocess.run(
        convtui(*arguments, python=python),
        capture_output=True,
        text=True,
        cwd=home,
        env=clean_environment(home),
        check=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def test_the_wheel_holds_what_is_needed_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert "convtui/_data/themes/dark.yaml" in names
    assert "convtui/_data/sample_runs/clean.jsonl" in names
    assert "convtui/personas/maya.yaml" in names
    assert "convtui/py.typed" in names
    assert {"convtui/serve/page.html", "convtui/serve/page.js"} <= names
    assert {f"convtui/manual/{topic}.md" for topic in TOPICS} <= names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"convtui"}
    assert not [name for name in names if "__pycache__" in name]


def test_the_manual_is_printed(installed: Path, home: Path) -> None:
    printed = run(installed, home, "help", "start")
    assert printed.stdout.startswith("Getting started\n===============\n")
    assert "convtui init mine" in printed.stdout
    assert printed.stderr == ""
    listed = run(installed, home, "help").stdout
    assert all(f"  {topic} " in listed for topic in TOPICS)


def test_it_runs_from_another_folder(installed: Path, home: Path) -> None:
    where = json.loads(run(installed, home, "where", "--json").stdout)
    package = Path(where["builtin_themes"]["path"]).parent
    assert package.is_relative_to(installed.parent.parent)
    assert where["builtin_sample_runs"]["exists"]
    assert where["builtin_personas"]["exists"]
    themes = run(installed, home, "themes").stdout
    for name in ("dark", "light", "mono", "high-contrast"):
        assert name in themes
    spoken = run(installed, home, "demo", "--out", str(home / "runs"))
    assert "Skarholm" in spoken.stdout
    assert "no terminal to draw on" in spoken.stderr
    command = convtui("replay", "sample:discarded", python=installed)
    with Terminal(command, env=clean_environment(home), cwd=home) as terminal:
        terminal.until("REPLAY", "Robin")
        terminal.press("q")
        terminal.until("next: convtui replay sample:discarded")
        assert terminal.wait() == 0
