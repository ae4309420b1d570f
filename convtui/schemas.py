"""JSON Schemas of the files people write, and checking such files whatever their kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel

from convtui.actions.registry import actions, read_keymap
from convtui.batch.cells import cells_of
from convtui.batch.plan import Plan
from convtui.batch.plan_parts import GROUPED_DIGITS
from convtui.config.paths import builtin_dir
from convtui.config.settings import Config, config_model, config_problems, load_toml
from convtui.config.themes import ROLES, Theme, load_theme, load_themes
from convtui.errors import DataFileError, FileError, Problem, UsageError, did_you_mean, listed
from convtui.files.validation import attribute_docs
from convtui.files.yaml import load_yaml
from convtui.records.models import RECORD_TYPES
from convtui.scenario.persona import Persona
from convtui.scenario.persona_table import SUFFIXES as TABLES
from convtui.scenario.persona_table import read_persona_table
from convtui.scenario.scenario import Scenario
from convtui.scenario.simulators.kind import SAYS_FIRST, given
from convtui.scenario.simulators.registry import kinds
from convtui.scenario.waza_keys import waza_kind
from convtui.scenario.waza_task import read_waza
from convtui.warm.templates import WarmTemplate, looks_like_template, read_template

Kind = Literal["persona", "scenario", "plan", "theme", "keymap", "config", "log", "warm"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CheckKind = Kind | Literal["waza"]
CHECK_KINDS: tuple[CheckKind, ...] = (*KINDS, "waza")
"""What can be checked; files of waza (tasks and evals) have no schema here."""
_DIALECT = "https://json-schema.org/draft/2020-12/schema"

LogCheck = Callable[[Path], list[Problem]]
"""Finds the damage in a log; handed in, since the log's reader lives a floor above."""


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind of file. Raises `UsageError` for an unknown kind."""
    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "persona": lambda: _file_schema(Persona),
        "scenario": _scenario,
        "plan": _plan,
        "theme": _theme,
        "keymap": _keymap,
        "config": lambda: _file_schema(config_model(), Config),
        "log": _log,
        "warm": _warm,
    }
    if kind not in makers:
        raise UsageError(
            f"there is no schema {kind!r}{did_you_mean(kind, makers) or '.'}"
            f" There are {listed(makers, limit=10)}."
        )
    return {"$schema": _DIALECT, "title": f"convtui {kind}", **makers[kind]()}


def _file_schema(model: Any, written: type | None = None) -> dict[str, Any]:
    """The schema of a model, described with the docstrings of the class as `written`."""
    made: dict[str, Any] = model.model_json_schema()
    made.pop("title", None)
    _describe(made, written or model)
    for part in _parts(model):
        _describe(made.get("$defs", {}).get(part.__name__, {}), part)
    if model is Persona:
        _persona_rules(made)
    return made


def _parts(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that stand in a model or an annotation, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        inside: Iterable[Any] = (field.annotation for field in annotation.model_fields.values())
    else:
        inside = get_args(annotation)
    for part in inside:
        yield from _parts(part)


def _persona_rules(made: dict[str, Any]) -> None:
    """What a persona's keys say about each other."""
    # The simulator is guessed from the other keys when it is left out.
    made["required"] = ["name"]
    made["properties"]["script"]["anyOf"][1]["propertyNames"] = {"pattern": "^0*[1-9][0-9]*$"}
    made["properties"]["script"]["anyOf"][1]["minProperties"] = 1
    made["properties"]["script"]["anyOf"][0]["minItems"] = 1

    rules = made["allOf"] = []
    for kind in kinds():
        named = {"simulator": {"const": kind.name}}
        is_kind: dict[str, Any] = {"required": ["simulator"], "properties": named}
        if kind.only:
            rules.append({"if": kind.only, "then": {"properties": named}})
            is_kind = {"anyOf": [is_kind, kind.only]}
        if kind.needs:
            rules.append({"if": is_kind, "then": kind.needs})


def _describe(made: dict[str, Any], model: type) -> None:
    """Puts each field's docstring into its place in a schema."""
    for name, text in attribute_docs(model).items() if made else ():
        if name in made.get("properties", {}):
            made["properties"][name].setdefault("description", text)


def _scenario() -> dict[str, Any]:
    made = _file_schema(Scenario)
    made["required"] = []
    definitions = made["$defs"]
    _persona_rules(definitions["Persona"])
    properties = made["properties"]
    for key in ("persona", "provider"):
        about = properties[key].pop("description", "")
        properties[key] = {
            "anyOf": [{"type": "string", "minLength": 1}, properties[key]],
            "description": about,
        }
    properties["warm"]["anyOf"].insert(0, {"type": "string", "minLength": 1})
    filled = {"type": ["string", "number", "boolean"]}
    definitions["WarmConfig"]["properties"]["slots"]["additionalProperties"] = filled
    items = properties["tools"]["items"]
    properties["tools"]["items"] = {"anyOf": [{"type": "string"}, items]}
    # Follow-up prompts are what a scripted persona says. One in a file of its own is not seen here.
    able = [kind.name for kind in kinds() if kind.says_follow_ups]
    unable = [
        *(kind.only for kind in kinds() if kind.only and not kind.says_follow_ups),
        {"required": ["simulator"], "properties": {"simulator": {"not": {"enum": able}}}},
        {"not": SAYS_FIRST},
    ]
    made["if"] = given("follow_up_prompts", "array", minItems=1)
    made["then"] = {
        "required": ["persona"],
        "properties": {"persona": {"not": {"type": "object", "anyOf": unable}}},
    }
    return made


def _plan() -> dict[str, Any]:
    made = _file_schema(Plan)
    for name in ("persona", "provider", "set"):
        # One entry may stand without a list.
        entries = made["$defs"]["Vary"]["properties"][name]
        kinds_of_one = entries["anyOf"][0]["items"]
        entries["anyOf"].insert(0, kinds_of_one)
    tokens = made["$defs"]["BatchBudget"]["properties"]["tokens"]
    tokens["anyOf"].append({"type": "string", "pattern": GROUPED_DIGITS})
    return made


def _theme() -> dict[str, Any]:
    made = _file_schema(Theme)
    made["required"] = []
    color = {"type": "string", "pattern": "^#[0-9a-fA-F]{6}$"}
    made["properties"]["colors"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": dict.fromkeys(ROLES, color),
    }
    made["properties"]["styles"]["propertyNames"] = {"enum": list(ROLES)}
    return made


def _keymap() -> dict[str, Any]:
    key = {"type": ["string", "integer"]}
    value = {"anyOf": [key, {"type": "array", "items": key}, {"type": "null"}]}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {**value, "description": action.help} for name, action in actions().items()
        },
    }


def _warm() -> dict[str, Any]:
    made = _file_schema(WarmTemplate)
    for part in (made, made["$defs"]["WarmPattern"]):
        # Null is the same as absent.
        for name, about in part["properties"].items():
            if name not in part.get("required", ()):
                part["properties"][name] = _or_null(about)
    names = {"type": "array", "items": {"type": "string"}}
    made["properties"]["slots"]["anyOf"].insert(0, names)
    made["anyOf"] = [{"required": ["patterns"]}, {"required": ["system_prompt_addendum"]}]
    return made


def _or_null(about: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in about:
        return about
    outside = ("description", "title", "default")
    inner = {key: value for key, value in about.items() if key not in outside}
    kept = {key: value for key, value in about.items() if key in outside}
    return {**kept, "anyOf": [inner, {"type": "null"}]}


def _log() -> dict[str, Any]:
    """One record, that is one line of a log."""
    definitions: dict[str, Any] = {}
    options = []
    for name, model in RECORD_TYPES.items():
        made = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(made.pop("$defs", {}))
        properties = {
            "seq": {"type": "integer", "minimum": 0},
            "t": {"type": "number"},
            "type": {"const": name},
            **made.get("properties", {}),
        }
        required = ["seq", "t", "type", *made.get("required", [])]
        definitions[model.__name__] = {**made, "properties": properties, "required": required}
        options.append({"$ref": f"#/$defs/{model.__name__}"})
    # Readers keep records of unknown types, so the schema does too.
    unknown = {
        "type": "object",
        "required": ["seq", "t", "type"],
        "properties": {"type": {"type": "string", "not": {"enum": list(RECORD_TYPES)}}},
    }
    return {"anyOf": [*options, unknown], "$defs": definitions}


def check_file(
    path: Path, kind: str | None = None, *, check_log: LogCheck | None = None
) -> list[Problem]:
    """The mistakes in a file, none when it is right.

    The kind is told by suffix and content when it is not given. Logs are checked by `check_log`.
    Raises `UsageError` for an unknown kind, or a log without `check_log`; a file that cannot be
    read is a mistake too.
    """
    if kind is not None and kind not in CHECK_KINDS:
        near = did_you_mean(kind, CHECK_KINDS) or "."
        raise UsageError(
            f"there is no kind {kind!r}{near} There are {listed(CHECK_KINDS, limit=10)}."
        )
    try:
        found = kind or recognise(path)
        if found == "log":
            if check_log is None:
                raise UsageError(f"{path}: logs cannot be checked here")
            return check_log(path)
        return _check(path, found)
    except DataFileError as error:
        return list(error.problems)
    except FileError as error:
        return [Problem(str(error))]


def _check(path: Path, kind: str) -> list[Problem]:
    if kind == "scenario":
        Scenario.load(path)
    elif kind == "plan":
        cells = cells_of(Plan.load(path), ready=False)
        errors = [line for cell in cells if cell.error for line in cell.error.splitlines()]
        return [Problem(line) for line in dict.fromkeys(errors)]
    elif kind == "persona" and path.suffix.lower() in TABLES:
        return read_persona_table(path).problems
    elif kind == "persona":
        Persona.load(path)
    elif kind == "waza":
        read_waza(path)
    elif kind == "warm":
        read_template(path)
    elif kind == "theme":
        known, _ = load_themes([builtin_dir("themes")])
        load_theme(path, known)
    elif kind == "keymap":
        document = load_yaml(path)
        return read_keymap(document.data, document.lines, path)[1]
    else:
        data, lines = load_toml(path)
        return config_problems(data, lines, path, project=path.name == "convtui.toml")
    return []


def recognise(path: Path) -> CheckKind:
    """What kind of file it is. Raises `FileError`, or `UsageError` when it could be anything."""
    suffix = path.suffix.lower()
    if suffix == ".json" and looks_like_template(path):
        return "warm"
    if suffix in (".jsonl", ".json"):
        return "log"
    if suffix == ".toml":
        return "config"
    if suffix in TABLES:
        return "persona"
    if suffix not in (".yaml", ".yml"):
        raise UsageError(
            f"{path}: cannot tell what this is; give YAML, TOML, a table (.tsv, .csv) or a log"
            " (.jsonl)"
        )
    data = load_yaml(path).data
    if waza_kind(data) is not None:
        return "waza"
    keys = {str(key) for key in data} if isinstance(data, dict) else set()
    scores: dict[Kind, int] = {
        "scenario": len(keys & set(Scenario.model_fields)),
        "plan": len(keys & set(Plan.model_fields)),
        "persona": len(keys & set(Persona.model_fields)),
        "theme": len(keys & set(Theme.model_fields)),
        "keymap": sum(name in actions() or name.count(".") == 1 for name in keys),
    }
    # A key that one kind alone has says more than several that kinds share.
    own_keys = [key for simulator in kinds() for key in simulator.own_keys]
    for telling, kind in (
        ("persona", "scenario"),
        ("provider", "scenario"),
        ("scenario", "plan"),
        ("vary", "plan"),
        ("runs", "plan"),
        ("colors", "theme"),
        ("script", "persona"),
        ("simulator", "persona"),
        *((key, "persona") for key in own_keys),
    ):
        scores[kind] += 3 * (telling in keys)  # type: ignore[index]
    best = max(scores, key=lambda kind: scores[kind])
    if not scores[best]:
        known = {*Scenario.model_fields, *Plan.model_fields, *Persona.model_fields}
        known |= {*Theme.model_fields, *own_keys}
        meant = [f"{key!r}{near}" for key in sorted(keys) if (near := did_you_mean(key, known))]
        raise UsageError(
            f"{path}: cannot tell whether this is a scenario, plan, persona, theme or"
            f" keymap; it has none of their keys{': ' if meant else ''}{'; '.join(meant[:3])}"
        )
    return best
