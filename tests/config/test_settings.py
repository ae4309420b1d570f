"""Settings by layer, paths, and the remembered state."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from convtui.config.paths import Paths, builtin_dir, read_state, writable_dir, write_state
from convtui.config.seal import private_folder
from convtui.config.settings import (
    Config,
    load_config,
    project_settings,
)
from convtui.config.trusted_folders import trust_folder
from convtui.errors import DataFileError, FileError, UsageError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "config").mkdir(parents=True)
    (tmp_path / "work" / "deep").mkdir(parents=True)
    return tmp_path


def load(home: Path, flags: dict[str, object] | None = None, **variables: str) -> Config:
    environ = {"CONVTUI_HOME": str(home / "home"), **variables}
    return load_config(flags, environ, home / "work" / "deep")


def test_nearest_to_the_command_wins(home: Path) -> None:
    user = home / "home" / "config" / "config.toml"
    user.write_text('# mine\ntheme = "light"\nspeed = 2\nmouse = false\nuser_model = "a/b"\n')
    project = home / "work" / "convtui.toml"
    project.write_text('theme = "mono"\nspeed = 3.0\nout_dir = "runs"\n')
    config = load(home, {"theme": "x", "max_turns": 3, "wire": None}, CONVTUI_SPEED="4")
    assert config.theme == "x"
    assert str(config.origin("theme")) == "--theme"
    assert config.speed == 4.0
    assert str(config.origin("speed")) == "CONVTUI_SPEED"
    assert config.out_dir == str(home / "work" / "runs")
    assert config.runs_dir == home / "work" / "runs"
    assert str(config.origin("out_dir")) == f"{project}:3"
    assert config.mouse is False
    assert str(config.origin("mouse")) == f"{user}:4"
    assert str(config.origin("color")) == "default"
    with pytest.raises(UsageError, match="did you mean 'theme'"):
        config.origin("them")


def test_defaults_create_nothing(tmp_path: Path) -> None:
    config = load_config({}, {"CONVTUI_HOME": str(tmp_path / "h")}, tmp_path)
    assert config.runs_dir == tmp_path / "h" / "data" / "runs"
    assert config.keymap_file is None
    assert not (tmp_path / "h").exists()
    assert all(Config.describe().values())


def test_every_mistake_is_told(home: Path) -> None:
    user = home / "home" / "config" / "config.toml"
    user.write_text('mouse = "no"\n\nthem = "x"\nspeed = 0\n')
    project = home / "work" / "convtui.toml"
    project.write_text('color = "sometimes"\ntrust = ["/"]\n')
    with pytest.raises(DataFileError) as caught:
        load(home, {"wire": "x"}, CONVTUI_MOUSE="maybe")
    assert str(caught.value).splitlines() == [
        f"{user}:1: mouse: must be true or false, not text",
        f"{user}:3: them: unknown key 'them', did you mean 'theme'?",
        f"{user}:4: speed: must be more than 0, not 0",
        f"{project}:1: color: must be one of auto, always, never, not 'sometimes'",
        f"{project}:2: trust: says what may run, so it belongs into your own config.toml,"
        " a variable or a flag",
        "CONVTUI_MOUSE: must be true or false, not text",
        "--wire: must be one of recent, all, off, not 'x'",
    ]


def test_bad_syntax_has_its_line(home: Path) -> None:
    user = home / "home" / "config" / "config.toml"
    user.write_text("mouse = true\ntheme = dark\n")
    with pytest.raises(DataFileError, match=r"config\.toml:2: not valid TOML: .*needs quotes"):
        load(home)


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 5000, "0b" + "1" * 50_000])
@pytest.mark.parametrize("key", ["speed", "theme", "unknown", "trust"])
def test_a_number_too_long_to_be_written_is_named(home: Path, key: str, number: str) -> None:
    user = home / "home" / "config" / "config.toml"
    user.write_text(f"mouse = true\n{key} = [{number}]\n" if key == "trust" else f"{key}={number}")
    with pytest.raises(DataFileError, match=r"config\.toml.*number is too long"):
        load(home)


@pytest.mark.parametrize(("parts", "says"), [(50, "unknown key 'a'"), (200_000, "too many parts")])
def test_keys_nested_deep_are_refused(home: Path, parts: int, says: str) -> None:
    (home / "home" / "config" / "config.toml").write_text(f"{'.'.join('a' * parts)} = 1\n")
    with pytest.raises(DataFileError, match=rf"config\.toml.*{says}"):
        load(home)


@pytest.mark.parametrize("key", ["out_dir", "python", "keymap", "env_file", "theme", "provider"])
def test_a_null_character_is_named(home: Path, key: str) -> None:
    for file in (home / "home" / "config" / "config.toml", home / "work" / "convtui.toml"):
        file.write_text(f'mouse = true\n{key} = "a\\u0000b"\n')
        with pytest.raises(DataFileError, match=rf"{file.name}:2: {key}: .*null character"):
            load(home)
        file.write_text("")
    (home / "home" / "config" / "config.toml").write_text('trust = ["/x", "a\\u0000b"]\n')
    with pytest.raises(DataFileError, match=r":1: trust\[1\]: .*null character"):
        load(home)


def test_variables(home: Path) -> None:
    config = load(home, CONVTUI_TRUST="a:b" if sys.platform != "win32" else "a;b", CONVTUI_THEM="x",
                  CONVTUI_ENGINE_FD="3", CONVTUI_MOUSE="0")  # fmt: skip
    here = home / "work" / "deep"
    assert config.trust == [str(here / "a"), str(here / "b")]
    assert config.mouse is False
    assert [str(problem) for problem in config.warnings] == [
        "CONVTUI_THEM: unknown setting, did you mean CONVTUI_THEME?"
    ]


def test_platform_paths_without_home() -> None:
    paths = Paths.find({})
    assert all("convtui" in str(path) for path in paths.as_dict().values())


def test_built_in_data_is_found() -> None:
    assert (builtin_dir("themes") / "dark.yaml").is_file()
    with pytest.raises(FileError, match="missing"):
        builtin_dir("nothing-of-this-name")


def test_writable_dir(tmp_path: Path) -> None:
    assert writable_dir(tmp_path / "a" / "b").is_dir()
    (tmp_path / "f").write_text("")
    for path in (tmp_path / "f", tmp_path / "f" / "below"):
        with pytest.raises(FileError, match="is a file"):
            writable_dir(path)


def test_state_survives_damage(tmp_path: Path) -> None:
    file = tmp_path / "state" / "state.json"
    assert read_state(file) == {}
    write_state(file, {"persona": "maya"})
    assert read_state(file) == {"persona": "maya"}
    assert [path.name for path in file.parent.iterdir()] == ["state.json"]
    if sys.platform != "win32":
        assert file.stat().st_mode & 0o777 == 0o600
    for damage in ("{", "[1]", "\x00", json.dumps("x")):
        file.write_text(damage)
        assert read_state(file) == {}
    with pytest.raises(FileError):
        write_state(file, {"x": object()})
    with pytest.raises(FileError):
        write_state(file / "below", {})
    assert [path.name for path in file.parent.iterdir()] == ["state.json"]


NEEDS_TRUST = {
    "editor": "vi", "python": "python3", "env_file": ".env", "provider": "bot.py:Bot",
    "persona": "maya.yaml", "user_model": "openai/m", "api_base": "http://h",
    "user_api_base": "http://h", "out_dir": "../runs", "keymap": "/keys.yaml",
}  # fmt: skip
COUNTS = {
    "theme": "light", "speed": 2.0, "color": "never", "mouse": False, "wire": "off",
    "confirm_quit": False, "hints": False, "notify": "bell", "notify_when": "always",
    "glyphs": "ascii",
}  # fmt: skip


def test_every_setting_needs_trust_or_does_not() -> None:
    assert {*NEEDS_TRUST, *COUNTS, "trust"} == set(Config.describe()), "classify a new setting"
    file = Path("/project/convtui.toml")
    assert project_settings({**NEEDS_TRUST, **COUNTS}, file) == NEEDS_TRUST
    harmless = {"provider": "demo", "persona": "maya", "out_dir": "runs", "keymap": "k.yaml"}
    assert project_settings(harmless, file) == {}
    for provider in ("openai/gpt-4o", "package.module:Bot", "installed", "recorded:x.jsonl"):
        assert project_settings({"provider": provider}, file)


def test_the_list_of_folders_that_others_can_write_is_refused(home: Path) -> None:
    (home / "work" / "convtui.toml").write_text('api_base = "http://h"\n')
    paths = Paths.find({"CONVTUI_HOME": str(home / "home")})
    trust_folder(paths, home / "work", {"api_base": "http://h"})
    assert load(home).api_base == "http://h"
    (private_folder(paths) / "folders.json").chmod(0o666)
    config = load(home)
    assert config.api_base is None
    assert config.untrusted is not None and "others can read it" in config.untrusted.text
