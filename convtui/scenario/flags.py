"""Command-line flags over a scenario's data.

Works on plain data: what the flags make of it is checked by the scenario's own model afterwards, so
that a flag and a key in the file obey the same rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convtui.errors import DataFileError, Problem, UsageError, did_you_mean
from convtui.files.yaml import dotted, parse_value
from convtui.scenario.persona import load_persona
from convtui.scenario.provider_spec import absolute, parse_provider_spec
from convtui.scenario.simulators.registry import kinds, written_kind
from convtui.warm.names import is_path

# Flag names to the key they set. Flags that change the shape of data are handled by name below.
_KEYS: dict[str, tuple[str, ...]] = {
    "api_base": ("provider", "params", "api_base"),
    "model": ("provider", "model"),
    "max_turns": ("limits", "max_turns"),
    "max_total_words": ("limits", "max_total_words"),
    "max_tool_rounds": ("limits", "max_tool_rounds"),
    "budget_tokens": ("budget", "tokens"),
    "budget_cost": ("budget", "cost"),
    "warm": ("warm", "use"),
    "first_speaker": ("first_speaker",),
    "user_api_base": ("persona", "params", "api_base"),
}
_NAMED = (
    "persona",
    "persona_template",
    "persona_context_template",
    "persona_reminder",
    "provider",
    "sessions",
    "persona_speaks_first",
    "provider_speaks_first",
    "user_model",
    "break",
    "set",
)
_CODE = ("file", "module", "entry_point")
"""Providers that are somebody's code."""
# Flags of the same commands that say how to run, not what.
_ELSEWHERE = ("out", "resume", "trust", "python", "env_file", "wire", "paused", "debug", "runs",
              "on_pause", "in_process", "task", "theme")  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlaggedScenario:
    """Data with flags applied.

    `origin` maps the keys that flags set to the flags, `persona_source` says where a persona
    that a flag named came from.
    """

    data: dict[str, Any]
    origin: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    persona_source: str | None = None

    def at_flag(self, problem: Problem) -> Problem:
        """The problem attributed to the flag that caused it, where one did."""
        if problem.path is not None or not problem.key:
            return problem
        for path, flag in self.origin.items():
            key = dotted(path) or ""
            if problem.key == key or key.startswith(f"{problem.key}."):
                return Problem(problem.message, path=flag)
            if problem.key.startswith((f"{key}.", f"{key}[")):
                return Problem(problem.message, path=flag, key=problem.key)
        return problem


def apply_flags(
    data: dict[str, Any], flags: Mapping[str, Any], cwd: Path, keys: Collection[str]
) -> FlaggedScenario:
    """`data` of a scenario with `flags` applied; see `merge.merge_flags`.

    `keys` are the dotted names that `set` knows. Raises `UsageError`.
    """
    given = {
        key.replace("-", "_").rstrip("_"): value
        for key, value in flags.items()
        if value is not None and value not in ((), [])
    }
    known = (*_KEYS, *_NAMED, *_ELSEWHERE)
    for key in given:
        if key not in known:
            raise UsageError(f"unknown flag --{key.replace('_', '-')}{did_you_mean(key, known)}")
    merge = _Merge(data, given, cwd)
    source = merge.persona()
    merge.provider()
    merge.sessions()
    merge.first_speaker()
    merge.user_model()
    merge.values()
    merge.breakpoints()
    merge.settings(keys)
    return FlaggedScenario(data, merge.origin, source)


class _Merge:
    """Applies the `given` flags to `data`, one kind after the other."""

    def __init__(self, data: dict[str, Any], given: dict[str, Any], cwd: Path) -> None:
        self.data = data
        self.given = given
        self.cwd = cwd
        self.origin: dict[tuple[str, ...], str] = {}

    def persona(self) -> str | None:
        """Returns where the persona comes from, where it is not the scenario's own."""
        if "persona" in self.given:
            persona = load_persona(
                str(self.given["persona"]),
                self.cwd,
                _text(self.given.get("persona_template")),
                context_template=_text(self.given.get("persona_context_template")),
                reminder=_text(self.given.get("persona_reminder")),
            )
        elif "persona" not in self.data:
            persona = load_persona("demo", self.cwd)
        else:
            return None
        self.data["persona"] = persona.model_dump(exclude_unset=True)
        return persona.source

    def provider(self) -> None:
        if "provider" in self.given:
            put_provider(self.data, str(self.given["provider"]), self.cwd)
            self.origin[("provider", "use")] = "--provider"

    def sessions(self) -> None:
        names = self.given.get("sessions")
        if names is None:
            return
        names = names.split(",") if isinstance(names, str) else names
        self.data["sessions"] = [str(name).strip() for name in names]
        self.origin[("sessions",)] = "--sessions"

    def first_speaker(self) -> None:
        sides = [side for side in ("persona", "provider") if self.given.get(f"{side}_speaks_first")]
        if len(sides) > 1:
            raise UsageError(
                "--persona-speaks-first and --provider-speaks-first exclude each other"
            )
        if sides:
            self.data["first_speaker"] = sides[0]

    def user_model(self) -> None:
        if "user_model" not in self.given:
            return
        kind = written_kind(self.data["persona"])
        key = kind.model_key(self.data["persona"]) if kind is not None else "model"
        self._put("user_model", ("persona", *key.split(".")), self.given["user_model"])

    def values(self) -> None:
        """The flags that set one key each."""
        if is_path(str(self.given.get("warm", ""))):
            self.given["warm"] = str(absolute(str(self.given["warm"]), self.cwd))
        for flag, key in _KEYS.items():
            if flag in self.given:
                self._put(flag, key, self.given[flag])

    def breakpoints(self) -> None:
        if "break" in self.given:
            self.data["breakpoints"] = [*self.data.get("breakpoints", []), *self.given["break"]]
            self.origin[("breakpoints",)] = "--break"

    def settings(self, keys: Collection[str]) -> None:
        for item in _settings(self.given.get("set")):
            path = _set(self.data, item, keys)
            # A parameter may be a key, which no message repeats.
            secret = {"params", "options"} & set(path[:2])
            self.origin[path] = f"--set {'.'.join(path) if secret else item}"

    def _put(self, flag: str, key: tuple[str, ...], value: Any) -> None:
        _put(self.data, key, value)
        self.origin[key] = "--" + flag.replace("_", "-")


def put_provider(data: dict[str, Any], text: str, base: Path) -> None:
    """Puts the provider of a SPEC, its paths below `base`, into the data of a scenario.

    Raises `ProviderLoadError`.
    """
    spec = parse_provider_spec(text, base).located(base)
    written = data.get("provider")
    if isinstance(written, dict) and spec.kind not in _CODE:
        # Keyword arguments of the class that is replaced.
        data["provider"] = {key: value for key, value in written.items() if key != "options"}
    _put(data, ("provider", "use"), str(spec))


def keys_set_by(flags: Mapping[str, Any]) -> set[str]:
    """The dotted keys of a scenario that these flags set."""
    given = {
        key.replace("-", "_").rstrip("_")
        for key, value in flags.items()
        if value is not None and value not in ((), [], False)
    }
    keys = {".".join(path) for flag, path in _KEYS.items() if flag in given}
    if "provider" in given:
        keys.add("provider.use")
    if "persona" in given:
        keys.add("persona")
    if "user_model" in given:
        keys |= {f"persona.{key}" for kind in kinds() for key in kind.model_keys}
    keys |= given & {"persona_template", "persona_context_template", "persona_reminder"}
    for item in _settings(flags.get("set") or flags.get("set_")):
        keys.add(".".join(part.strip() for part in str(item).partition("=")[0].split(".")))
    return keys


def _settings(value: str | Iterable[str] | None) -> Iterable[str]:
    """The `key=value` of `set`, which may be one."""
    return [value] if isinstance(value, str) else value or ()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _set(data: dict[str, Any], item: str, keys: Collection[str]) -> tuple[str, ...]:
    key, equals, text = item.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not equals or not all(path):
        raise UsageError(f"--set {item}: write key=value, as in --set limits.max_turns=6")
    try:
        value = parse_value(text)
    except DataFileError as error:
        raise UsageError(f"--set {item}: {error.problems[0].message}") from None
    problem = unknown_key(path, keys)
    if problem is not None:
        raise UsageError(f"--set {item}: {problem}")
    return put_key(data, path, value, keys)


def unknown_key(path: tuple[str, ...], keys: Collection[str]) -> str | None:
    """What is wrong with a key of a scenario that is to be set, if none of `keys` begins so."""
    if path[0] in {name.partition(".")[0] for name in keys}:
        return None
    return f"unknown key {path[0]!r}{did_you_mean(path[0], keys)}"


def put_key(
    data: dict[str, Any], path: tuple[str, ...], value: Any, keys: Collection[str]
) -> tuple[str, ...]:
    """Sets one of `keys` in the data of a scenario; returns where it stands.

    Raises `UsageError` where a part of `path` is no mapping.
    """
    if path[0] == "warm" and len(path) == 2 and ".".join(path) not in keys:
        path = ("warm", "slots", path[1])
    _put(data, path, value)
    return path


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    here = data
    for depth, part in enumerate(path[:-1]):
        below = here.get(part)
        if part in ("provider", "warm") and depth == 0 and isinstance(below, str):
            below = {"use": below}
        elif below is None:
            below = {}
        elif not isinstance(below, dict):
            raise UsageError(f"{'.'.join(path)}: {part!r} is not a mapping")
        here[part] = dict(below)
        here = here[part]
    here[path[-1]] = value
