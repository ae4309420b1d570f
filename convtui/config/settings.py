"""Settings and where each comes from.

Nearest to the command wins: flags, then `CONVTUI_*` variables, then the project's `convtui.toml`
(found upwards from the working directory), then the user's `config.toml`, then the defaults.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_type_hints

from convtui.config.paths import HOME_VARIABLE, Paths
from convtui.errors import DataFileError, Problem, UsageError, did_you_mean, nearest
from convtui.files.regular import exists, is_file, real_path
from convtui.files.validation import (
    KeyPath,
    Lines,
    attribute_docs,
    dotted,
    line_of,
    problems_of,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

    from convtui.config.trusted_folders import Untrusted

PROJECT_FILE = "convtui.toml"
PREFIX = "CONVTUI_"

_PATH = {"path": True}
# What widens what may run: a project never sets it for its reader.
_PERSONAL = {"personal": True}
# What a project sets only where its folder is trusted: a host to which a key goes, a command, code,
# a file of variables; a path only where it leads out of the project.
_TRUSTED = {"trusted": True}
_INSIDE = {"inside": True}


class Origin(NamedTuple):
    """Where a setting's value comes from.

    `layer` is the kind of place, `where` the file, variable or flag, `line` its line in a file.
    """

    layer: Literal["default", "user", "project", "environment", "flag"]
    where: str = ""
    line: int | None = None

    def __str__(self) -> str:
        if not self.where:
            return self.layer
        return f"{self.where}:{self.line}" if self.line is not None else self.where


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting with its type, default and meaning.

    A plain class: the first frame waits for the settings, and pydantic takes longer to import than
    everything else that the frame needs. `config_model()` is the same as a pydantic model.
    """

    theme: str = "dark"
    """The theme's name; `convtui themes` lists them."""
    keymap: str | None = field(default=None, metadata={**_PATH, **_INSIDE})
    """A keymap file; by default keymap.yaml beside config.toml, when it exists."""
    out_dir: str | None = field(default=None, metadata={**_PATH, **_INSIDE})
    """Where logs are written; by default the platform's data directory."""
    speed: float = field(default=1.0, metadata={"gt": 0, "le": 1000})
    """Replay speed: 1 is as it happened, 4 is four times as fast."""
    color: Literal["auto", "always", "never"] = "auto"
    """Colour in printed output."""
    glyphs: Literal["auto", "unicode", "ascii"] = "auto"
    """How the TUI draws states and frames; auto is ascii where the terminal has no Unicode."""
    mouse: bool = True
    """Whether the TUI takes the mouse."""
    wire: Literal["recent", "all", "off"] = "recent"
    """HTTP exchanges to keep: the last 50 and every failure, all, or none."""
    hints: bool = True
    """Whether the demo and the first runs are explained, one line at a time."""
    notify: Literal["off", "bell", "osc9", "osc777"] = "off"
    """What to send when something holds: nothing, a bell, or a desktop notice."""
    notify_when: Literal["away", "always"] = "away"
    """Whether to send it only while the terminal is not looked at."""
    confirm_quit: bool = True
    """Whether leaving asks while a run is live."""
    editor: str | None = field(default=None, metadata=_TRUSTED)
    """The editor for E; by default VISUAL, then EDITOR."""
    python: str | None = field(default=None, metadata={**_PATH, **_TRUSTED})
    """The interpreter that runs the engine and has the provider's packages."""
    env_file: str | None = field(default=None, metadata={**_PATH, **_TRUSTED})
    """A file of KEY=value lines for the engine, for API keys."""
    trust: list[str] = field(default_factory=list, metadata={**_PATH, **_PERSONAL})
    """Directories whose code a continued log may load without asking."""
    provider: str | None = field(default=None, metadata=_TRUSTED)
    """The provider SPEC used when none is named."""
    persona: str | None = field(default=None, metadata=_TRUSTED)
    """The persona SPEC used when none is named."""
    user_model: str | None = field(default=None, metadata=_TRUSTED)
    """The model of llm and responder personas that name none."""
    api_base: str | None = field(default=None, metadata=_TRUSTED)
    """The endpoint of the provider's model."""
    user_api_base: str | None = field(default=None, metadata=_TRUSTED)
    """The endpoint of the persona's model."""

    def __post_init__(self) -> None:
        """Adds attributes that are not settings."""
        about: dict[str, Any] = {
            "_origins": {},
            "_paths": None,
            "_warnings": (),
            "_untrusted": None,
            "_again": load_config,
        }
        for name, value in about.items():
            object.__setattr__(self, name, value)

    @property
    def paths(self) -> Paths:
        """The directories in use."""
        paths: Paths | None = self.__dict__["_paths"]
        return paths or Paths.find()

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What looks like a mistake but stops nothing: misspelt `CONVTUI_` variables."""
        return tuple(self.__dict__["_warnings"])

    @property
    def untrusted(self) -> Untrusted | None:
        """Settings of the project that do not count, as its folder is not trusted with them."""
        untrusted: Untrusted | None = self.__dict__["_untrusted"]
        return untrusted

    def again(self) -> Config:
        """The settings as they are now, with the same flags. Raises as `load_config()`."""
        config: Config = self.__dict__["_again"]()
        return config

    @property
    def runs_dir(self) -> Path:
        return Path(self.out_dir) if self.out_dir else self.paths.runs_dir

    @property
    def keymap_file(self) -> Path | None:
        """The keymap to load: the one that is set, or the user's own when it exists."""
        if self.keymap:
            return Path(self.keymap)
        own = self.paths.keymap_file
        return own if exists(own) else None

    def origin(self, name: str) -> Origin:
        """Where a setting comes from. Raises `UsageError` for an unknown one."""
        if name not in settings():
            raise UsageError(f"unknown setting {name!r}{did_you_mean(name, settings())}")
        origins: dict[str, Origin] = self.__dict__["_origins"]
        return origins.get(name, Origin("default"))

    @classmethod
    def describe(cls) -> dict[str, str]:
        """Each setting's meaning in one sentence."""
        docs = attribute_docs(cls)
        return {name: docs.get(name, "") for name in settings()}


@lru_cache(1)
def settings() -> Mapping[str, Field[Any]]:
    return {setting.name: setting for setting in fields(Config)}


@lru_cache(1)
def _types() -> Mapping[str, Any]:
    return get_type_hints(Config)


@lru_cache(1)
def config_model() -> type[BaseModel]:
    """`Config` as a pydantic model: finds the words for mistakes, and is the JSON Schema."""
    from pydantic import ConfigDict, create_model
    from pydantic import Field as ModelField

    def of(setting: Field[Any]) -> Any:
        marks = {
            key: True
            for key in ("path", "personal", "trusted", "inside")
            if key in setting.metadata
        }
        return ModelField(
            setting.default if setting.default is not MISSING else [],
            json_schema_extra=marks or None,  # type: ignore[arg-type]
            gt=setting.metadata.get("gt"),
            le=setting.metadata.get("le"),
        )

    made: Any = {name: (_types()[name], of(setting)) for name, setting in settings().items()}
    how = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    about = (Config.__doc__ or "").split("\n")[0]
    return create_model("Config", __config__=how, __doc__=about, **made)


def _marked(name: str, mark: str) -> bool:
    return mark in settings()[name].metadata


def _fits(name: str, value: Any) -> bool:
    """Whether a value is certainly valid; for any other the model decides, and says why not."""
    kind = _types().get(name)
    if kind in (str, str | None):
        return type(value) is str
    if kind is bool:
        return type(value) is bool
    if kind is float:
        bounds = settings()[name].metadata
        return type(value) in (int, float) and bounds["gt"] < value <= bounds["le"]
    if kind == list[str]:
        return type(value) is list and all(type(item) is str for item in value)
    return type(value) is str and value in get_args(kind)


def project_file(cwd: Path) -> Path | None:
    """The nearest `convtui.toml` from `cwd` upwards."""
    for folder in (cwd, *cwd.parents):
        candidate = folder / PROJECT_FILE
        if is_file(candidate):
            return candidate
    return None


def load_config(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Config:
    """All settings, each from the nearest layer that names it.

    `flags` may hold more than settings; only settings that are not None are taken. Raises
    `DataFileError` with every mistake of every layer: file or variable, line, nearest name.
    """
    environ = os.environ if environ is None else environ
    cwd = (Path.cwd() if cwd is None else cwd).absolute()
    layers = _Layers(Paths.find(environ))
    own = layers.paths.config_file
    if exists(own):
        layers.add_file("user", own)
    project = project_file(cwd)
    if project is not None and project != own:
        layers.add_file("project", project)
    layers.add_environment(environ, cwd)
    layers.add_flags(flags or {}, cwd)
    if layers.problems:
        raise DataFileError(layers.problems)
    return layers.config(again=partial(load_config, flags, environ, cwd))


class _Layers:
    """Layers of settings, added from the farthest to the nearest."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.problems: list[Problem] = []
        self._warnings: list[Problem] = []
        self._values: dict[str, Any] = {}
        self._origins: dict[str, Origin] = {}
        self._untrusted: Untrusted | None = None

    def add_file(self, layer: Literal["user", "project"], file: Path) -> None:
        try:
            data, lines = load_toml(file)
        except DataFileError as error:
            self.problems += error.problems
            return
        problems = config_problems(data, lines, file, project=layer == "project")
        if layer == "project" and not problems:
            self._untrusted = untrusted_settings(data, file, self.paths)
            left_out = self._untrusted.settings if self._untrusted is not None else {}
            data = {key: value for key, value in data.items() if key not in left_out}
        origins = {key: Origin(layer, str(file), lines.get((key,))) for key in data}
        self._add(data, origins, problems, base=file.parent)

    def add_environment(self, environ: Mapping[str, str], cwd: Path) -> None:
        data: dict[str, Any] = {}
        for variable, text in sorted(environ.items()):
            if not variable.startswith(PREFIX) or variable == HOME_VARIABLE or not text:
                continue
            name = variable.removeprefix(PREFIX).lower()
            if name in settings():
                data[name] = _from_text(name, text)
            elif near := nearest(name, settings()):
                message = f"unknown setting, did you mean {PREFIX}{near.upper()}?"
                self._warnings.append(Problem(message, path=variable))
        self._add_named("environment", data, _variable, cwd)

    def add_flags(self, flags: Mapping[str, Any], cwd: Path) -> None:
        data = {
            key: _plain(value)
            for key, value in flags.items()
            if key in settings() and value is not None and value not in ((), [])
        }
        self._add_named("flag", data, _flag, cwd)

    def _add_named(
        self,
        layer: Literal["environment", "flag"],
        data: dict[str, Any],
        label: Callable[[str], str],
        cwd: Path,
    ) -> None:
        """Adds what stands in no file: `label` makes a setting's variable or flag of its name."""
        problems = [
            Problem(problem.message, path=label(str(problem.key)))
            for problem in config_problems(data, {}, None)
        ]
        self._add(data, {key: Origin(layer, label(key)) for key in data}, problems, base=cwd)

    def _add(
        self,
        data: Mapping[str, Any],
        origins: Mapping[str, Origin],
        problems: list[Problem],
        *,
        base: Path,
    ) -> None:
        self.problems += problems
        if problems:
            return
        self._origins.update(origins)
        for key, value in data.items():
            if not _marked(key, "path"):
                self._values[key] = value
            elif isinstance(value, list):
                self._values[key] = [_absolute(item, base) for item in value]
            else:
                self._values[key] = _absolute(value, base)

    def config(self, again: Callable[[], Config]) -> Config:
        values = dict(self._values)
        if isinstance(values.get("speed"), int):
            values["speed"] = float(values["speed"])
        config = Config(**values)
        about: dict[str, Any] = {
            "_origins": self._origins,
            "_paths": self.paths,
            "_warnings": tuple(self._warnings),
            "_untrusted": self._untrusted,
            "_again": again,
        }
        for name, value in about.items():
            object.__setattr__(config, name, value)
        return config


def project_settings(data: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The settings of a project's file that count only in a trusted folder, as written there.

    Without an effect, and so without need of trust: the demo, a built-in persona, a path that
    leads nowhere out of the project.
    """
    root = real_path(file.parent)

    def needs_trust(name: str, value: Any) -> bool:
        if _marked(name, "inside"):
            return bool(value) and not real_path(_absolute(value, root)).is_relative_to(root)
        if not _marked(name, "trusted") or not value:
            return False
        if name == "provider":
            return bool(value != "demo")
        return name != "persona" or not str(value).replace("-", "_").isidentifier()

    known = settings()
    return {key: value for key, value in data.items() if key in known and needs_trust(key, value)}


def untrusted_settings(data: Mapping[str, Any], file: Path, paths: Paths) -> Untrusted | None:
    """The settings of a project that its folder is not trusted with: all or none."""
    named = project_settings(data, file)
    if not named:
        return None  # the list need not be read
    from convtui.config.trusted_folders import Untrusted, why_untrusted

    why = why_untrusted(paths, file.parent, named)
    return Untrusted(file, named, why) if why else None


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _plain(value: Any) -> Any:
    """A flag's value as it would be in a file."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


def _absolute(text: Any, base: Path) -> Any:
    return str(base / Path(text).expanduser()) if isinstance(text, str) and text else text


def _from_text(name: str, text: str) -> Any:
    """A variable's text as the type of its setting; left as it is where it does not fit."""
    kind = _types()[name]
    if kind is bool:
        words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        return words.get(text.lower(), text)
    if kind is float:
        try:
            return float(text)
        except ValueError:
            return text
    if kind == list[str]:
        return [part for part in text.split(os.pathsep) if part]
    return text


def config_problems(
    data: Mapping[str, Any], lines: Lines, path: Path | None, *, project: bool = False
) -> list[Problem]:
    """The mistakes in one layer of settings; `project` for a file that comes with a project."""
    problems: list[Problem] = []
    if not all(_fits(key, value) for key, value in data.items()):
        from pydantic import ValidationError

        model = config_model()
        try:
            model.model_validate(dict(data))
        except ValidationError as error:
            problems = problems_of(error, model, lines, path)
    problems += _null_characters(data, lines, path)
    if project:
        for key in data:
            if key in settings() and _marked(key, "personal"):
                message = "says what may run, so it belongs into your own config.toml, a variable"
                problems.append(
                    Problem(f"{message} or a flag", path=path, line=lines.get((key,)), key=key)
                )
    return sorted(problems, key=lambda problem: problem.line or 0)


def _null_characters(data: Mapping[str, Any], lines: Lines, path: Path | None) -> list[Problem]:
    """No path, command, name or address can have one: the system refuses it when it is used."""
    return [
        Problem(
            "a null character cannot stand in a setting",
            path=path,
            line=line_of(lines, where),
            key=dotted(where),
        )
        for where, value in _values(data)
        if isinstance(value, str) and "\0" in value
    ]


def _values(data: Any) -> Iterator[tuple[KeyPath, Any]]:
    """What is no table or list, each with where it stands; nothing deeper than settings can be."""
    waiting: list[tuple[KeyPath, Any]] = [((), data)]
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, (Mapping, list)) and len(where) < _DEEP:
            inside = value.items() if isinstance(value, Mapping) else enumerate(value)
            waiting += [((*where, key), item) for key, item in inside]
        else:
            yield where, value


_SYNTAX = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)")
_KEY = re.compile(
    r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|[A-Za-z0-9_-]+))*)\s*="""
)
_TABLE = re.compile(r"\s*\[{1,2}([^\[\]]+)\]{1,2}")
_TOO_LONG = "a number is too long"
_DEEP = 8
_MOST_DOTS = 100
"""In a key: the time that Python takes for a longer one grows with the square of its parts."""


def load_toml(path: Path) -> tuple[dict[str, Any], Lines]:
    """The data of a TOML file and the line of each key.

    Raises `FileError`, or `DataFileError` with the line for bad syntax and for numbers too long to
    be written.
    """
    import tomllib

    from convtui.files.yaml import read_text

    text = read_text(path)
    for number, row in enumerate(text.splitlines(), 1):
        if row.partition("=")[0].count(".") > _MOST_DOTS:
            raise DataFileError([Problem("a key has too many parts", path=path, line=number)])
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        if type(error) is ValueError:  # Python's limit of digits, which says no place.
            raise DataFileError([Problem(_TOO_LONG, path=path)]) from None
        match = _SYNTAX.search(str(error))
        line = int(match[1]) if match and match[1] else text.count("\n") + 1
        message = _SYNTAX.sub("", str(error))
        hint = "; text needs quotes" if "Invalid value" in message else ""
        raise DataFileError(
            [Problem(f"not valid TOML: {message}{hint}", path=path, line=line)]
        ) from None
    lines = _toml_lines(text)
    problems = [
        Problem(_TOO_LONG, path=path, line=line_of(lines, where), key=dotted(where))
        for where, value in _values(data)
        if isinstance(value, int) and not _is_written(value)
    ]
    if problems:
        raise DataFileError(problems)
    return data, lines


def _is_written(number: int) -> bool:
    """Whether Python writes it as a decimal: it reads longer ones to the bases 2, 8 and 16."""
    try:
        str(number)
    except ValueError:
        return False
    return True


def _toml_lines(text: str) -> dict[KeyPath, int]:
    """The lines of keys, found by the beginnings of lines: enough to point at them."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, row in enumerate(text.splitlines(), 1):
        key = _KEY.match(row)
        header = None if key else _TABLE.match(row)
        if header:
            table = _parts(header[1])
            lines.setdefault(table, number)
        elif key:
            lines.setdefault((*table, *_parts(key[1])), number)
    return lines


def _parts(text: str) -> KeyPath:
    return tuple(part.strip().strip("\"'") for part in text.split("."))
