"""Writes the generated parts of the manual again: `make manual`.

A page has a block `<!-- name -->` ... `<!-- /name -->` for each of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from convtui.actions.registry import key_table_markdown
from convtui.batch.plan import Plan
from convtui.cli import _COMMANDS
from convtui.config.settings import Config, settings
from convtui.files.validation import attribute_docs
from convtui.filters.atoms import ATOMS
from convtui.manual.pages import page_file, replace_block
from convtui.scenario.parts import OnDiscard
from convtui.scenario.provider_hooks import HOOKS
from convtui.scenario.scenario import Persona, Scenario
from convtui.scenario.simulators.registry import kinds
from convtui.text_checks.incomplete import REASONS
from convtui.text_checks.rules import FLAG_RULES
from convtui.transcript.fault_rules import RULES as FAULT_RULES


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """A Markdown table, ending in a line end."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        cells = (" ".join(cell.split()).replace("|", "\\|") for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """Inline code."""
    return f"`{text}`"


def sentence(text: str) -> str:
    """A description without the full stop at its end."""
    return text.strip().removesuffix(".")


def commands() -> str:
    """Every command."""
    rows = ((code(f"convtui {name}"), sentence(about)) for name, about in _COMMANDS.items())
    return table(["command", "what it does"], rows)


def atoms() -> str:
    """Every filter atom."""
    rows = ((code(f"~{name} {kind.argument}".rstrip()), kind.help) for name, kind in ATOMS.items())
    return table(["atom", "true when"], rows)


def incomplete() -> str:
    """Every reason for which a reply is incomplete."""
    return table(["reason", "meaning"], ((code(name), words) for name, words in REASONS.items()))


def flags() -> str:
    """Every rule that raises a flag."""
    rows = (
        (code(f"~{flag}"), code(rule), words)
        for flag, rules in FLAG_RULES.items()
        for rule, words in rules.items()
    )
    return table(["flag", "rule", "raised when"], rows)


def faults() -> str:
    """Every rule of fault."""
    rows = ((code(rule), sentence(words)) for rule, words in FAULT_RULES.items())
    return table(["rule", "meaning"], rows)


def default_text(value: Any) -> str:
    """A default as it is written in YAML; empty for none."""
    if value is None or value is PydanticUndefined or value in ([], {}, ""):
        return ""
    if isinstance(value, OnDiscard):
        return code(str(value))
    text = value if isinstance(value, str) else json.dumps(value)
    return code(text)


def settings_table() -> str:
    """Every setting."""
    docs = Config.describe()

    def rows() -> Iterator[Sequence[str]]:
        for name, setting in settings().items():
            default = setting.default if isinstance(setting.default, (str, bool, float)) else None
            marks = {"personal": "yours only", "trusted": "trusted folders",
                     "inside": "trusted folders"}  # fmt: skip
            whose = [f" ({words})" for mark, words in marks.items() if mark in setting.metadata]
            yield code(name), default_text(default), sentence(docs[name]) + "".join(whose)

    return table(["setting", "default", "meaning"], rows())


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[Sequence[str]]:
    """A row for each key of a model, those of the mappings in it after their own."""
    docs = attribute_docs(model)
    for name, field in model.model_fields.items():
        part = next(
            (
                kind
                for kind in (field.annotation, *get_args(field.annotation))
                if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Persona
            ),
            None,
        )
        about = docs.get(name) or (attribute_head(part) if part is not None else "")
        default = field.default if field.default_factory is None else None
        yield code(prefix + name), default_text(default), sentence(about)
        if part is not None:
            yield from keys_of(part, f"{prefix}{name}.")


def attribute_head(model: type[BaseModel]) -> str:
    """The first line of a model's docstring."""
    return (model.__doc__ or "").split("\n")[0]


def hooks() -> str:
    """Every hook of a provider."""
    rows = (
        (code(hook.signature), sentence(hook.sentence), hook.returns, hook.default)
        for hook in HOOKS
    )
    return table(["hook", "what it is for", "returns", "by default"], rows)


def simulators() -> str:
    """Every kind of simulated user."""
    rows = ((kind.name, kind.speaks, kind.written) for kind in kinds())
    return table(["simulator", "speaks", "written as"], rows)


def model_table(model: type[BaseModel]) -> Callable[[], str]:
    """Every key of a file of this kind."""
    return lambda: table(["key", "default", "meaning"], keys_of(model))


BLOCKS: Final[Mapping[str, Mapping[str, Callable[[], str]]]] = {
    "start": {"commands": commands},
    "sessions-and-hooks": {"hooks": hooks, "incomplete": incomplete},
    "simulated-users": {"simulators": simulators, "flags": flags, "faults": faults},
    "scenarios": {"scenario": model_table(Scenario), "persona": model_table(Persona)},
    "filters": {"atoms": atoms},
    "batches": {"plan": model_table(Plan)},
    "keys": {"keys": key_table_markdown},
    "settings": {"settings": settings_table},
}
"""What makes each block, by page and name."""


def made(topic: str, text: str) -> str:
    """The text of a page with all of its blocks made again."""
    for name, make in BLOCKS.get(topic, {}).items():
        text = replace_block(text, name, make())
    return text


def main() -> None:
    """Writes the pages whose blocks differ."""
    for topic in BLOCKS:
        file = page_file(topic)
        before = file.read_text(encoding="utf-8")
        after = made(topic, before)
        if after != before:
            file.write_text(after, encoding="utf-8")
            print(f"{file.name} written")


if __name__ == "__main__":
    main()
