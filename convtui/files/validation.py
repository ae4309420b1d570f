"""Checking data that people wrote against a model; saying in plain words what is wrong where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin

from convtui.errors import MOST_NAMED, DataFileError, Problem, did_you_mean, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

M = TypeVar("M", bound="BaseModel")

KeyPath = tuple[str | int, ...]
"""Where a value stands: mapping keys and list positions from the root."""
Lines = Mapping[KeyPath, int]
"""The 1-based line of each key path."""


def dotted(where: Sequence[str | int]) -> str | None:
    """`("limits", "max_turns")` as `limits.max_turns`, list positions as `[0]`; None for root."""
    text = ""
    for part in where:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text or None


def line_of(lines: Lines, where: KeyPath) -> int | None:
    """The line of `where`, or of the nearest key around it that has one."""
    while where and where not in lines:
        where = where[:-1]
    return lines.get(where)


def validate(
    model: type[M],
    data: object,
    lines: Lines | None = None,
    path: Path | str | None = None,
    *,
    what: str = "file",
    context: Mapping[str, Any] | None = None,
) -> M:
    """`data` as an instance of the pydantic `model`.

    `what` names the kind of file in messages and `context` goes to the model's validators. Raises
    `DataFileError` with every mistake at once, in line order, each with file, line, dotted key and,
    for an unknown key, the nearest known one.
    """
    from pydantic import ValidationError

    lines = lines or {}
    if data is None and not lines:
        raise DataFileError([Problem(f"this {what} is empty", path=path)])
    if not isinstance(data, dict):
        message = f"a {what} is a mapping of keys to values, not {kind_of(data)}"
        raise DataFileError([Problem(message, path=path, line=lines.get(()))])
    try:
        return model.model_validate(data, context=dict(context or {}))
    except ValidationError as error:
        raise DataFileError(problems_of(error, model, lines, path)) from None


def problems_of(
    error: Any, model: type[BaseModel], lines: Lines, path: Path | str | None
) -> list[Problem]:
    """The mistakes of a pydantic `ValidationError` in plain words, in line order."""
    items = []
    for item in error.errors(include_url=False, include_context=True):
        where = tuple(part for part in item["loc"] if part != "[key]")
        key = item.get("ctx", {}).get("key")
        if isinstance(key, str):
            where = (*where, key)
        items.append((item, where))
    items.sort(key=lambda mistake: line_of(lines, mistake[1]) or 0)
    problems: list[Problem] = []
    for place, (item, where) in enumerate(items):
        # Names that are nearly right are looked for where they will be shown: it takes a while.
        known = known_keys(model, item["loc"][:-1]) if place < MOST_NAMED else ()
        problems.append(
            Problem(
                (_parameter(item, model) if known else "")
                or explain(item, known) + _elsewhere(item, model),
                path=path,
                line=line_of(lines, where),
                key=dotted(
                    (*where[:-1], str(where[-1])) if item["type"] == "invalid_key" else where
                ),
            )
        )
    return problems


_PARAMETERS: Final = (
    "api_base", "api_key", "api_version", "temperature", "max_tokens", "max_completion_tokens",
    "top_p", "top_k", "seed", "stop", "frequency_penalty", "presence_penalty", "reasoning_effort",
    "extra_headers", "extra_body", "response_format", "logit_bias", "stream",
)  # fmt: skip
"""What people write beside `params` that belongs into it."""


def _parameter(item: Mapping[str, Any], model: type[BaseModel]) -> str:
    """What an unknown key should have been, when it is a parameter of a model's calls."""
    if item["type"] != "extra_forbidden":
        return ""
    *above, name = item["loc"]
    parameter = nearest(str(name), [*known_keys(model, above), *_PARAMETERS])
    if parameter not in _PARAMETERS:
        return ""
    # In a scenario it is the provider's, in a persona its own.
    for part in ((), ("provider",)):
        if "params" in known_keys(model, (*above, *part)):
            meant = dotted((*above, *part, "params", parameter))
            return f"unknown key {name!r}, did you mean {meant}?"
    return ""


def _elsewhere(item: Mapping[str, Any], model: type[BaseModel]) -> str:
    """The part to which an unknown key belongs, when it was written one level too high."""
    if item["type"] != "extra_forbidden" or len(item["loc"]) != 1:
        return ""
    name = str(item["loc"][0])
    for part in model.model_fields:
        if name in known_keys(model, (part,)):
            return f"; it stands under {part!r}"
    return ""


def explain(item: Mapping[str, Any], known: Iterable[str]) -> str:
    """One pydantic error in plain words; `known` are the keys allowed where it stands."""
    kind, value = item["type"], item.get("input")
    ctx = item.get("ctx", {})
    name = str(item["loc"][-1]) if item["loc"] else ""
    if kind in ("extra_forbidden", "invalid_key"):
        return f"unknown key {name!r}{did_you_mean(name, known)}"
    if kind == "missing":
        return f"the key {name!r} is required"
    if kind == "literal_error":
        expected = str(ctx.get("expected", "")).replace("'", "")
        options = [part.strip() for part in re.split(r",| or ", expected) if part.strip()]
        near = did_you_mean(value, options) if isinstance(value, str) else ""
        return f"must be one of {', '.join(options)}, not {shown(value)}{near}"
    if kind == "at_key":
        return str(ctx.get("message", item["msg"]))
    if kind == "value_error":
        return str(ctx.get("error", item["msg"]))
    wanted = {
        "string_type": "text",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "list_type": "a list",
        "dict_type": "a mapping of keys to values",
        "model_type": "a mapping of keys to values",
        "model_attributes_type": "a mapping of keys to values",
        "finite_number": "a finite number",
    }.get(kind)
    if wanted:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        same = is_number and wanted.endswith("number")
        return f"must be {wanted}, not {shown(value) if same else kind_of(value)}{_advice(item)}"
    limits = {
        "greater_than_equal": ("at least", "ge"),
        "greater_than": ("more than", "gt"),
        "less_than_equal": ("at most", "le"),
        "less_than": ("less than", "lt"),
    }
    if kind in limits:
        words, bound = limits[kind]
        least = ctx.get(bound)
        number = f"{least:g}" if isinstance(least, (int, float)) else least
        return f"must be {words} {number}, not {shown(value)}"
    if kind in ("too_short", "string_too_short"):
        return "must not be empty"
    message = str(item["msg"])
    return message[:1].lower() + message[1:]


def _advice(item: Mapping[str, Any]) -> str:
    """How to write what was meant, where a value is right but for its form."""
    kind, value = item["type"], item.get("input")
    if kind == "string_type" and isinstance(value, (int, float)):
        return f'; put it in quotes: "{_yaml_word(value)}"'
    if kind in ("int_type", "float_type") and isinstance(value, str):
        number = value.strip().replace("_", "")
        fits = int if kind == "int_type" else float
        try:
            fits(number)
        except ValueError:
            return ""
        return f"; write {number}"
    return ""


def _yaml_word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def kind_of(value: object) -> str:
    """The kind of a value in words: `a number`, `a list`, `nothing`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return _yaml_word(value)
    for kind, words in ((str, "text"), ((int, float), "a number"), (list, "a list")):
        if isinstance(value, kind):
            return words
    return "a mapping" if isinstance(value, dict) else type(value).__name__


def shown(value: object) -> str:
    """A short, quoted form of a value for a message."""
    if isinstance(value, (dict, list)) or value is None:
        return kind_of(value)
    text = _yaml_word(value) if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def known_keys(model: type[BaseModel], where: Sequence[str | int]) -> list[str]:
    """The keys a mapping may have at `where` below `model`; empty when any are allowed."""
    kinds: list[Any] = [model]
    for part in where:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    return [name for kind in kinds for name in (_fields(kind) or ())]


def _fields(kind: Any) -> Mapping[str, Any] | None:
    fields = getattr(kind, "model_fields", None)
    return fields if isinstance(fields, dict) else None


def _inside(kind: Any, part: str | int) -> list[Any]:
    fields = _fields(kind)
    if fields is not None:
        field_info = fields.get(str(part))
        return _unwrap(field_info.annotation) if field_info is not None else []
    arguments = get_args(kind)
    return _unwrap(arguments[-1]) if arguments else []


def _unwrap(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return [kind for option in get_args(annotation) for kind in _unwrap(option)]
    return [annotation]


def attribute_docs(model: type) -> dict[str, str]:
    """Field name to the string that stands below it in the class or in one that it is derived
    from; empty without source code.

    Read when asked for: doing so for every model would double the time that importing them takes.
    """
    from pydantic import BaseModel

    docs: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if cls not in BaseModel.__mro__:
            docs |= _docs_in(cls)
    return docs


def _docs_in(cls: type) -> dict[str, str]:
    import ast
    import inspect
    from textwrap import dedent

    try:
        body = ast.parse(dedent(inspect.getsource(cls))).body[0]
    except (OSError, SyntaxError, TypeError):
        return {}
    docs: dict[str, str] = {}
    name = None
    for node in body.body if isinstance(body, ast.ClassDef) else ():
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            continue
        if name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docs[name] = inspect.cleandoc(str(node.value.value))
        name = None
    return docs
