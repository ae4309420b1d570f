"""Runs the program over the project with real processes, and searches all that came of it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.openai_server import OpenAIServerThread
from tests.planted.project import Project, make
from tests.planted.values import Planted, searched


@dataclass(slots=True)
class Hunt:
    """What was run, and what was found."""

    planted: Planted
    files: int = 0
    size: int = 0
    commands: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Commands that did not do what they are here for."""

    def __str__(self) -> str:
        return (
            f"{len(self.planted.by_place)} secrets planted, {len(self.commands)} commands,"
            f" {self.files} files and outputs of {self.size / 1e6:.1f} MB searched:"
            f" {len(self.leaks)} leaks"
        )


class _Shell:
    """Commands of the user's, in the project's folder and environment."""

    def __init__(self, project: Project, home: Path, hunt: Hunt) -> None:
        self._project = project
        self._hunt = hunt
        self._environment = {
            **project.environment,
            "CONVTUI_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def __call__(
        self, *words: str | Path, code: int | None = 0, python: str = "", own: bool = False
    ) -> str:
        """Runs `convtui WORDS`, or a script; what it printed.

        With `own` the terminal is the provider's own: what it prints is not looked at.
        """
        program = [python] if python else ["-m", "convtui.cli"]
        command = [sys.executable, *program, *map(str, words)]
        done = subprocess.run(
            command,
            cwd=self._project.folder,
            env=self._environment,
            capture_output=True,
            timeout=120,
            check=False,
        )
        name = " ".join([python, *map(str, words)][:4]).strip()
        self._hunt.commands.append(name)
        if code is not None and done.returncode != code:
            said = done.stderr.decode(errors="replace")[-300:]
            self._hunt.problems.append(f"{name}: exit code {done.returncode}, not {code}: {said}")
        if own:
            return ""
        for stream, data in (("stdout", done.stdout), ("stderr", done.stderr)):
            _search(f"{stream} of {name}", data, self._hunt)
        return done.stdout.decode(errors="replace")


def _search(what: str, data: bytes, hunt: Hunt) -> None:
    hunt.files += 1
    hunt.size += len(data)
    hunt.leaks += [f"{place}: in {what}" for place in searched(data, hunt.planted.by_place)]


def hunt(folder: Path, *, many: bool, seed: int = 1) -> Hunt:
    """Plants, runs and searches, all below `folder`."""
    planted = Planted(seed, many)
    with OpenAIServerThread() as server:
        project = make(folder / "project", planted, server.url, slow=many)
        server.script(*project.replies, model="provider-1")
        found = Hunt(planted)
        _play(project, _Shell(project, folder / "home", found), folder, found)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in project.inputs:
            _search(str(path.relative_to(folder)), path.read_bytes(), found)
    return found


def _play(project: Project, shell: _Shell, folder: Path, hunt: Hunt) -> None:
    runs = folder / "runs"
    out = ("--out", runs)
    keys = ("--env-file", "keys.env")
    other = ("--provider", "provider.py:Other", *_options(project))
    shell("run", "own.yaml", *out, *keys, "--wire", "all", "--debug", code=3)
    (own,) = _logs(runs)
    shell("run", "model.yaml", *out, *keys, "--wire", "all", code=3)
    (model,) = set(_logs(runs)) - {own}
    shell("show", model, "--json")
    shell("rehook", own, *other, "--json", "--junit", folder / "rehook.xml", "--setup", code=1)
    shell("profile", own, model, "--report", folder / "profile.html", "--json")
    shell("export", model, "--to", "vera", "--out", folder / "model-vera")
    shell("warm", "build", "trips", model, "--min-messages", "1")
    shell(own, project.planted.token("note"), python="note.py")
    shell(model, python="repro.py")
    shell("own.yaml", python="crash.py")
    if hunt.planted.many:
        _play_on(shell, folder, own, model, other)


def _play_on(shell: _Shell, folder: Path, own: Path, model: Path, other: tuple[str, ...]) -> None:
    runs = folder / "runs"
    out = ("--out", runs)
    shell("run", "never.yaml", *out, code=3)
    shell("run", "unreachable.yaml", *out, code=3)
    shell("run", "--provider", "provider.py:Broken", *other[2:], *out, code=2)
    shell("run", "--resume", own, *out, code=None)
    shell("run", "--resume", model, *out, code=None)
    shell("run", "own.yaml", *out, "--in-process", "--wire", "all", code=3, own=True)
    shell("own.yaml", runs, python="watch.py")
    shell("model.yaml", python="crash.py")
    shell("check", own, model, "own.yaml")
    shell("check", own, model, "--json")
    shell("show", own, "--debug")
    shell("show", own, "--plain")
    shell("rehook", own, *other, "--diff", code=1)
    shell("compare", own, model, "--json", code=1)
    shell("compare", own, model, "--plain", code=1)
    shell("profile", own, model, "--plain")
    for name in ("vera", "oharness", "rath", "hermes-trajectory"):
        shell("export", own, "--to", name, "--out", folder / f"own-{name}")
        shell("export", model, "--to", name, "--out", folder / f"again-{name}")
    (exported,) = (folder / "own-oharness").glob("*.jsonl")
    shell("import", exported, "--out", folder / "imported")
    shell("warm", "show", "trips", "--json")
    shell("config")
    shell("config", "--json")
    shell("runs", *out, "--json", "--all")


def _options(project: Project) -> Iterator[str]:
    for name, place in (("known_secret", "option: known"), ("token", "option unknown")):
        yield "--set"
        yield f"provider.options.{name}={_quoted(project.planted.by_place[place])}"


def _quoted(text: str) -> str:
    import json

    return json.dumps(text)


def _logs(runs: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        return [
            path
            for path in sorted(runs.glob("*.jsonl"))
            if not path.name.endswith((".wire.jsonl", ".tools.jsonl", ".notes.jsonl"))
        ]
    return []
