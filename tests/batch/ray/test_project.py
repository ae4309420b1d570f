"""Which folder nodes get, and what of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.batch.ray.project import EXCLUDES, excludes_of, project_of
from convtui.errors import UsageError
from convtui.scenario.scenario import Scenario


def made(base: Path, **fields: Any) -> Scenario:
    (base / "desk").mkdir(parents=True, exist_ok=True)
    (base / "desk/bot.py").write_text("def bot(messages): return 'x'\n")
    (base / "tools.py").write_text("def look_up(code): return code\n")
    (base / "warm.json").write_text('{"patterns": []}')
    data = {
        "name": "t",
        "persona": {"name": "M", "script": ["hi"]},
        "provider": "desk/bot.py:bot",
        **fields,
    }
    return Scenario.from_data(data, base=base)


def test_the_folder_of_what_is_named(tmp_path: Path) -> None:
    plain = made(tmp_path)
    assert project_of([plain]) == tmp_path / "desk"
    assert project_of([plain, made(tmp_path, tools=["tools.py:look_up"])]) == tmp_path
    assert project_of([made(tmp_path, warm="warm.json")]) == tmp_path
    assert project_of([made(tmp_path, provider="openai/gpt-4o")]) is None


def test_the_root_of_a_project_with_all_that_it_imports(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert project_of([made(tmp_path)]) == tmp_path


def test_a_home_folder_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    with pytest.raises(
        UsageError, match=r"bot\.py, tools\.py: the folder that they have in common"
    ):
        project_of([made(tmp_path, tools=["tools.py:look_up"])])


def test_a_template_of_the_users_own_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="warm: agent is a template in your own folder"):
        project_of([made(tmp_path, warm="agent")])


def test_keys_stay_and_what_is_named_comes_along(tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text("{}\n")
    scenario = made(tmp_path, provider="recorded:old.jsonl")
    assert excludes_of(tmp_path, [scenario]) == [*EXCLUDES, "!/old.jsonl"]
    assert {".env", "*.pem", ".git", "*.jsonl"} <= set(EXCLUDES)
