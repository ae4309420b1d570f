"""What is done with a module when it is imported, and only then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from convtui.models.late import on_import


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of its own that can be imported once."""
    name = f"late_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text("said = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_it_is_called_once_when_the_module_is_there(module: str) -> None:
    before = list(sys.meta_path)
    seen: list[object] = []
    on_import(module, lambda: seen.append(sys.modules[module].said))
    assert seen == []
    found = __import__(module)
    assert seen == [1]
    assert sys.meta_path == before
    # The module knows nothing of it.
    assert found.__spec__ is not None
    assert found.__loader__ is found.__spec__.loader
    assert type(found.__loader__).__module__ != "convtui.models.late"


def test_what_is_there_already_is_told_at_once(module: str) -> None:
    __import__(module)
    seen: list[int] = []
    on_import(module, lambda: seen.append(1))
    assert seen == [1]


def test_it_can_be_forgotten(module: str) -> None:
    before = list(sys.meta_path)
    seen: list[int] = []
    on_import(module, lambda: seen.append(1))()
    __import__(module)
    assert (seen, sys.meta_path) == ([], before)


def test_one_that_is_not_there_is_still_not_there(module: str) -> None:
    on_import(f"{module}_x", lambda: None)
    with pytest.raises(ModuleNotFoundError, match=f"{module}_x"):
        __import__(f"{module}_x")


def test_capturing_imports_no_httpx_and_sees_what_is_imported_later(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from convtui.engine.conversation.wiring import EngineModels
from convtui.secrets.redactor import Redactor

models = EngineModels(Redactor())
models.capture(Path({str(tmp_path / "a.jsonl")!r}), "all")
assert "httpx" not in sys.modules
import httpx
assert httpx.Client.send.__module__ == "convtui.models.wire"
assert httpx.AsyncClient.send.__module__ == "convtui.models.wire"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
