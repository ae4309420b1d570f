"""Warm starts: what earlier sessions have learned, put before a new conversation's history.

A template is a JSON file of patterns, each a tool call that worked. `context_of()` makes of it what
is injected: messages as chat APIs take them, and text for the system prompt. The order of roles is
one that strict APIs accept, too: nothing but a first message is a system message, and a tool's
result is followed by the assistant, never by the user.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from convtui.errors import DataFileError, FileError, Problem, UsageError, did_you_mean
from convtui.files.validation import Lines, problems_of
from convtui.files.yaml import parse_yaml, read_text
from convtui.warm.names import MAX_PATTERNS

VERSION: Final = 2
"""Of the templates that are made here; one without a version is of version 1."""
MAX_BYTES: Final = 8 << 20
MARK: Final = "[WARM SESSION]"
"""What the added text of a system prompt begins with."""
DONE: Final = "Done."
"""What the assistant says after a result where the template does not know its words."""
_MAX_ID: Final = 40
"""Characters that chat APIs allow for the id of a tool call."""

_SLOT = re.compile(r"(?<!\{)\{([A-Za-z_][A-Za-z0-9_]*)\}(?!\})")
_NOT_IN_TOOL_NAME = re.compile(r"[^A-Za-z0-9_-]")

Message = dict[str, Any]
"""A message as chat APIs take it."""


class _Open(BaseModel):
    """A mapping that keeps unknown keys, which other tools write."""

    model_config = ConfigDict(
        extra="allow", strict=True, frozen=True, allow_inf_nan=False, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data


class WarmPattern(_Open):
    """A tool call that worked, and what led to it."""

    tool_name: str = Field(min_length=1)
    """The tool that was called."""
    arguments: dict[str, Any] = Field({})
    """What it was called with."""
    result_summary: str = ""
    """The beginning of what came back."""
    preceding_context: str = ""
    """What the user had said before."""
    pattern_type: str = ""
    """What was mined: sequence."""
    success_count: int = Field(1, ge=0)
    """How often the same call was found."""
    session_types: list[str] = Field([])
    """The types of the sessions it was found in: by the tool they called most."""
    reply: str = ""
    """What the assistant said after the result."""


class WarmTemplate(_Open):
    """What earlier sessions learned: tool calls that worked, text for the system prompt."""

    name: str = ""
    """The template's name; the file's when left out."""
    description: str = ""
    """What it is for, for people."""
    patterns: list[WarmPattern] = Field([])
    """Tool calls that worked; the first ones are injected."""
    system_prompt_addendum: str = ""
    """Text that is added to the provider's system prompt."""
    tags: list[str] = Field([])
    """Words to find it by."""
    source_session_ids: list[str] = Field([])
    """The runs that it was made from."""
    created_at: float = 0.0
    """When it was made, in seconds since 1970; 0 is unknown."""
    version: int = 1
    """Of the template's format."""
    metrics: dict[str, Any] = Field({})
    """What was counted when it was made."""
    slots: dict[str, str | None] | None = None
    """The {names} that are filled at the start, each with its default; null has to be given. When
    left out: every {name} of system_prompt_addendum and preceding_context has to be given."""

    @field_validator("slots", mode="before")
    @classmethod
    def _names(cls, value: object, info: ValidationInfo) -> object:
        names = value if isinstance(value, (list, dict)) else ()
        for name in names:
            if not isinstance(name, str) or not _SLOT.fullmatch(f"{{{name}}}"):
                raise ValueError(f"a slot is a name of letters, digits and _, not {name!r}")
        return dict.fromkeys(value) if isinstance(value, list) else value

    def data(self) -> dict[str, Any]:
        """The template as it is saved, unknown keys included."""
        made = self.model_dump()
        if self.slots is None:
            del made["slots"]
        for pattern in made["patterns"]:
            if not pattern["reply"]:
                del pattern["reply"]
        return made

    def text(self) -> str:
        """The file's text: JSON, indented by two."""
        return to_json(self.data())


def to_json(data: Any) -> str:
    """JSON text of a template; invalid Unicode is written as escapes."""
    text = json.dumps(data, ensure_ascii=False, indent=2)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(data, indent=2)
    return text + "\n"


def parse_template(text: str, path: Path | str | None = None, *, name: str = "") -> WarmTemplate:
    """The template in a JSON text; `name` is used where it has none of its own.

    Raises `DataFileError` with every mistake, each with file, line and key.
    """
    try:
        data = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        problem = Problem(f"is not JSON: {error.msg}", path=path, line=error.lineno)
        raise DataFileError([problem]) from None
    except RecursionError:
        raise DataFileError([Problem("is nested too deep", path=path)]) from None
    except ValueError as error:
        raise DataFileError([Problem(f"is not JSON: {error}", path=path)]) from None
    if not isinstance(data, dict) or not {"patterns", "system_prompt_addendum"} & set(data):
        message = "this is no warm template: a template is a JSON object with 'patterns'"
        raise DataFileError([Problem(message, path=path, line=1)])
    if not data.get("name"):
        data["name"] = name
    from pydantic import ValidationError

    try:
        return WarmTemplate.model_validate(data)
    except ValidationError as error:
        problems = problems_of(error, WarmTemplate, _lines(text), path)
    except RecursionError:
        problems = [Problem("is nested too deep", path=path)]
    raise DataFileError(problems)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_constant(digits)


def _lines(text: str) -> Lines:
    """The line of each key: nearly every JSON text is YAML, too."""
    try:
        return parse_yaml(text).lines
    except DataFileError:
        return {}


def read_template(path: Path) -> WarmTemplate:
    """The template in a file. Raises `FileError`, `DataFileError` with every mistake in it."""
    return parse_template(read_text(path, max_bytes=MAX_BYTES), path, name=path.stem)


def looks_like_template(path: Path) -> bool:
    """Whether a file is a JSON object with the keys of a template, or was meant to be one."""
    keys = ("patterns", "system_prompt_addendum")
    try:
        text = read_text(path, max_bytes=MAX_BYTES)
    except FileError:
        return False
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        # Several lines of JSON are a log.
        log = text.lstrip().startswith('{"seq"')
        return not log and any(f'"{key}"' in text for key in keys)
    return isinstance(data, dict) and any(key in data for key in keys) and "messages" not in data


# --- the injected context


@dataclass(frozen=True, slots=True)
class WarmContext:
    """The messages that a template puts before every session's history, slots filled."""

    template: str
    """The template's name."""
    messages: tuple[Message, ...]
    """Without a system message."""
    addendum: str = ""
    """Added to the provider's system prompt, or its whole; empty for none."""
    sha256: str = ""
    """Digest of the template's file."""
    file: str = ""
    """Where the template stood."""
    patterns: int = 0
    """Patterns that are injected."""
    left_out: int = 0
    """Patterns above the limit."""
    slots: Mapping[str, str] = field(default_factory=dict)
    """What the slots were filled with."""

    @property
    def tools(self) -> list[str]:
        """The tools whose calls are shown, each once."""
        called = [
            str(call["function"]["name"])
            for message in self.messages
            for call in message.get("tool_calls") or ()
        ]
        return list(dict.fromkeys(called))

    def system_prompt(self, own: str) -> str:
        """The system prompt of a provider that has `own`; empty for none."""
        return "\n\n".join(part for part in (own, self.addendum) if part)

    def record(self) -> dict[str, Any]:
        """The fields of a `context.seeded` record."""
        return {
            "template": self.template,
            "file": self.file or None,
            "sha256": self.sha256 or None,
            "count": len(self.messages),
            "patterns": self.patterns,
            "left_out": self.left_out or None,
            "slots": dict(self.slots) or None,
            "addendum": self.addendum or None,
            "messages": list(self.messages),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> WarmContext:
        """The reverse of `record()`. Raises LookupError, TypeError or ValueError for another."""
        return cls(
            template=str(record["template"]),
            messages=tuple(dict(message) for message in record["messages"]),
            addendum=str(record.get("addendum") or ""),
            sha256=str(record.get("sha256") or ""),
            file=str(record.get("file") or ""),
            patterns=int(record.get("patterns") or 0),
            left_out=int(record.get("left_out") or 0),
            slots=dict(record.get("slots") or {}),
        )


def with_context(
    context: WarmContext | None, system_prompt: str, history: Sequence[Message]
) -> list[Message]:
    """The messages for a provider: its system prompt, the warm context, the history."""
    if context is not None:
        system_prompt = context.system_prompt(system_prompt)
    first: list[Message] = []
    if system_prompt:
        first.append({"role": "system", "content": system_prompt})
    return [*first, *(context.messages if context is not None else ()), *history]


def context_of(
    template: WarmTemplate,
    *,
    max_patterns: int = MAX_PATTERNS,
    slots: Mapping[str, str] | None = None,
    file: Path | None = None,
    sha256: str = "",
) -> WarmContext:
    """What a template injects: its first `max_patterns` patterns, slots filled from `slots`.

    Each pattern becomes a user message, an assistant's tool call, the tool's result, and a word of
    the assistant's. Raises `UsageError` for a slot without a value, or a value without a slot.
    """
    used = template.patterns[: max(0, max_patterns)]
    values = _values(template, used, slots or {})
    messages: list[Message] = []
    for number, pattern in enumerate(used):
        messages += _of_pattern(number, pattern, values)
    addendum = _fill(template.system_prompt_addendum, values).strip()
    if addendum:
        addendum = f"{MARK} {addendum}"
    return WarmContext(
        template=template.name,
        messages=tuple(messages),
        addendum=addendum,
        sha256=sha256 or hashlib.sha256(template.text().encode()).hexdigest(),
        file="" if file is None else str(file),
        patterns=len(used),
        left_out=len(template.patterns) - len(used),
        slots=values,
    )


def _of_pattern(number: int, pattern: WarmPattern, values: Mapping[str, str]) -> Iterator[Message]:
    # Chat APIs take letters, digits, _ and - in the name of a function.
    tool = _NOT_IN_TOOL_NAME.sub("_", pattern.tool_name)[:64]
    call = f"warm_{number}_{tool}"[:_MAX_ID]
    question = _fill(pattern.preceding_context, values)
    arguments = json.dumps(_fill_data(pattern.arguments, values), ensure_ascii=False)
    result = _fill(pattern.result_summary, values)
    if not question.strip():
        question = f"[Pattern {number + 1}] Demonstrate {tool} usage."
    yield {"role": "user", "content": question}
    function = {"name": tool, "arguments": arguments}
    yield {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call, "type": "function", "function": function}],
    }
    yield {
        "role": "tool",
        "tool_call_id": call,
        "name": tool,
        "content": result if result.strip() else f"Tool {tool} executed successfully.",
    }
    reply = _fill(pattern.reply, values)
    yield {"role": "assistant", "content": reply if reply.strip() else DONE}


# --- slots


def slots_of(template: WarmTemplate) -> dict[str, str | None]:
    """The slots with their defaults; None means that a value has to be given."""
    return _slots(template, template.patterns)


def _slots(template: WarmTemplate, patterns: Sequence[WarmPattern]) -> dict[str, str | None]:
    if template.slots is not None:
        return dict(template.slots)
    texts = [template.system_prompt_addendum, *(pattern.preceding_context for pattern in patterns)]
    return {match[1]: None for text in texts for match in _SLOT.finditer(text)}


def _values(
    template: WarmTemplate, used: Sequence[WarmPattern], given: Mapping[str, str]
) -> dict[str, str]:
    slots = _slots(template, used)
    known = set(slots)
    if template.slots is None:
        # What is given is filled everywhere, also where braces may mean something else.
        known |= {match[1] for text in _texts(template) for match in _SLOT.finditer(text)}
    for name in given:
        if name not in known:
            near = did_you_mean(name, known)
            has = f"; its slots: {', '.join(sorted(known))}" if known and not near else ""
            none = "; it has none" if not known else ""
            raise UsageError(
                f"warm template {template.name!r} has no slot {name!r}{near}{has}{none}"
            )
    values = {name: default for name, default in slots.items() if default is not None}
    values.update(given)
    missing = [name for name in slots if name not in values]
    if missing:
        one = missing[0]
        raise UsageError(
            f"warm template {template.name!r} has a slot without a value: {', '.join(missing)};"
            f" give --set warm.{one}=..., or 'slots' below 'warm' in the scenario"
        )
    return values


def _texts(template: WarmTemplate) -> Iterator[str]:
    yield template.system_prompt_addendum
    for pattern in template.patterns:
        yield pattern.preceding_context
        yield pattern.result_summary
        yield pattern.reply
        yield from _strings(pattern.arguments)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with its slots filled, once: braces in the values are left alone."""
    return _SLOT.sub(lambda match: values.get(match[1], match[0]), text)


def _fill_data(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _fill(value, values)
    if isinstance(value, dict):
        return {key: _fill_data(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill_data(item, values) for item in value]
    return value
