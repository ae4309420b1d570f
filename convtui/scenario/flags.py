"""Command-line flags over a scenario's data.

Works on plain data: what the flags make of it is checked by the scenario's own model afterwards, so
that a flag and a key in the file obey the same rules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convtui.errors import DataFileError, Problem, UsageError, did_you_mean
from convtui.files.yaml import dotted, parse_value
from convtui.scenario.persona import load_persona
from convtui.scenario.provider_spec import absolute, parse_provider_spec
from convtui.scenario.simulators.registry import kinds, written_kind
from convtui.warm.names import is_path

# Flag names to the place they set. Flags that change the shape of data are handled by name below.
_PLACES: dict[str, tuple[str, ...]] = {
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
# Flags of the same commands that say how to run, not what.
_ELSEWHERE = ("out", "resume", "trust", "python", "env_file", "wire", "paused", "debug", "runs",
              "on_pause", "in_process", "task")  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlaggedScenario:
    """Data with flags laid over it.

    `origin` maps the places that flags set to the flags, `persona_source` says where a persona
    that a flag named came from.
    """

    data: dict[str, Any]
    origin: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    persona_source: str | None = None

    def at_flag(self, problem: Problem) -> Problem:
        """The problem said about the flag that caused it, where one did."""
        if problem.path is not None or not problem.key:
            return problem
        for place, flag in self.origin.items():
            key = dotted(place) or ""
            if problem.key == key:
                return Problem(problem.message, path=flag)
            if problem.key.startswith((f"{key}.", f"{key}[")):
                return Problem(problem.message, path=flag, key=problem.key)
        return problem


def apply_flags(
    data: dict[str, Any], flags: Mapping[str, Any], cwd: Path, keys: Collection[str]
) -> FlaggedScenario:
    """`data` of a scenario with `flags` laid over it; see `scenario.merge_flags`.

    `keys` are the dotted names that `set` knows. Raises `UsageError`.
    """
    given = {
        key.replace("-", "_").rstrip("_"): value
        for key, value in flags.items()
        if value is not None and value not in ((), [])
    }
    known = (*_PLACES, *_NAMED, *_ELSEWHERE)
    for key in given:
        if key not in known:
            raise UsageError(f"unknown flag --{key.replace('_', '-')}{did_you_mean(key, known)}")
    origin: dict[tuple[str, ...], str] = {}
    source: str | None = None

    if "persona" in given:
        persona = load_persona(
            str(given["persona"]),
            cwd,
            _text(given.get("persona_template")),
            context_template=_text(given.get("persona_context_template")),
            reminder=_text(given.get("persona_reminder")),
        )
        data["persona"], source = persona.model_dump(exclude_unset=True), persona.source
    elif "persona" not in data:
        persona = load_persona("demo", cwd)
        data["persona"], source = persona.model_dump(exclude_unset=True), persona.source
    if "provider" in given:
        spec = parse_provider_spec(str(given["provider"]), cwd)
        _put(data, ("provider", "use"), str(spec.resolved(cwd)))
    if is_path(str(given.get("warm", ""))):
        given["warm"] = str(absolute(str(given["warm"]), cwd))
    if "sessions" in given:
        sessions = given["sessions"]
        data["sessions"] = sessions.split(",") if isinstance(sessions, str) else list(sessions)
        data["sessions"] = [str(item).strip() for item in data["sessions"]]
        origin[("sessions",)] = "--sessions"
    if given.get("persona_speaks_first") and given.get("provider_speaks_first"):
        raise UsageError("--persona-speaks-first and --provider-speaks-first exclude each other")
    for side in ("persona", "provider"):
        if given.get(f"{side}_speaks_first"):
            data["first_speaker"] = side
    if "user_model" in given:
        kind = written_kind(data["persona"])
        key = kind.model_key(data["persona"]) if kind is not None else "model"
        where = ("persona", *key.split("."))
        _put(data, where, given["user_model"])
        origin[where] = "--user-model"
    for flag, place in _PLACES.items():
        if flag in given:
            _put(data, place, given[flag])
            origin[place] = "--" + flag.replace("_", "-")
    if "break" in given:
        data["breakpoints"] = [*data.get("breakpoints", []), *given["break"]]
        origin[("breakpoints",)] = "--break"
    settings = given.get("set", ())
    for item in [settings] if isinstance(settings, str) else settings:
        place = _set(data, item, keys)
        origin[place] = f"--set {item}"
    return FlaggedScenario(data, origin, source)


def places_of(flags: Mapping[str, Any]) -> set[str]:
    """The dotted keys of a scenario that these flags set, whatever they set them to."""
    given = {
        key.replace("-", "_").rstrip("_")
        for key, value in flags.items()
        if value is not None and value not in ((), [], False)
    }
    places = {".".join(place) for flag, place in _PLACES.items() if flag in given}
    if "provider" in given:
        places.add("provider.use")
    if "persona" in given:
        places.add("persona")
    if "user_model" in given:
        places |= {f"persona.{key}" for kind in kinds() for key in kind.model_keys}
    places |= given & {"persona_template", "persona_context_template", "persona_reminder"}
    settings = flags.get("set") or flags.get("set_") or ()
    for item in [settings] if isinstance(settings, str) else settings:
        places.add(".".join(part.strip() for part in str(item).partition("=")[0].split(".")))
    return places


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _set(data: dict[str, Any], item: str, keys: Collection[str]) -> tuple[str, ...]:
    key, equals, text = item.partition("=")
    place = tuple(part.strip() for part in key.split("."))
    if not equals or not all(place):
        raise UsageError(f"--set {item}: write key=value, as in --set limits.max_turns=6")
    try:
        value = parse_value(text)
    except DataFileError as error:
        raise UsageError(f"--set {item}: {error.problems[0].message}") from None
    if place[0] not in {name.partition(".")[0] for name in keys}:
        near = did_you_mean(place[0], keys)
        raise UsageError(f"--set {item}: unknown key {place[0]!r}{near}")
    if place[0] == "warm" and len(place) == 2 and ".".join(place) not in keys:
        place = ("warm", "slots", place[1])
    _put(data, place, value)
    return place


def _put(data: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    here = data
    for depth, part in enumerate(place[:-1]):
        below = here.get(part)
        if part in ("provider", "warm") and depth == 0 and isinstance(below, str):
            below = {"use": below}
        elif below is None:
            below = {}
        elif not isinstance(below, dict):
            raise UsageError(f"{'.'.join(place)}: {part!r} is not a mapping")
        here[part] = dict(below)
        here = here[part]
    here[place[-1]] = value
