"""What of a log may be run without asking: one rule, for every way of going on with a log.

A log's header names code, programs, hosts and files. **What it names is used in silence only where
this user has named it**: on this command line, in this session, in an earlier run whose header this
user's own program wrote and nobody changed since (the header's `seal`, see `convtui.config.seal`),
or with a yes to the question that is asked otherwise. `refuse_unasked()` is the rule;
`engine.conversation.build` calls it before anything is loaded, so that no way in can go round it.
A run that is started again is a new conversation to the engine: whoever starts it asks before.

| what is gone on with                                          | asks                           |
|---------------------------------------------------------------|--------------------------------|
| own log, untouched: resume, go on, compress, run again        | no                             |
| own log, its provider's file edited since (same path)         | no: the user named that path   |
| reload, restart, fork, rewind, compress in a live session     | no: the session's own scenario |
| a branch that names something else than the live session      | by its own header              |
| a part that a flag, `--set` or the settings replace           | no, for that part              |
| `run SCENARIO --resume LOG`: the scenario replaces the log's  | no                             |
| code in a folder of the setting `trust`                       | no, for that code              |
| a log of another account, an import, a log without a seal     | yes                            |
| an own log of which one byte of what is sealed was changed    | yes                            |
| any log while the key cannot be used                          | yes                            |
| a log that names nothing (demo, scripted persona)             | no: there is nothing to ask    |
| `--trust`                                                     | no                             |

With a yes the continuation is this user's: its own header is sealed. Secrets are no part of that:
a value that stands as `[redacted]` in a log is filled again only from the scenario file that a
sealed header names, and only for the same part (`convtui.trust.own_values`), whatever was answered.

What was said in a log is data, and not sealed: a log grows after its header. The conversation goes
on with it as it stands, tool calls that wait for their result included.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from convtui.config.paths import Paths
from convtui.config.seal import canonical, is_sealed, load_key, seal_of
from convtui.errors import ConsentNeeded, ConvtuiError, FileError, ProviderLoadError
from convtui.files.regular import real_path
from convtui.scenario.provider_spec import parse_provider_spec
from convtui.scenario.scenario import Scenario
from convtui.scenario.simulators.registry import kinds
from convtui.trust.own_values import OwnValues, with_own_values, without_values
from convtui.trust.wording import spec_of, what_it_would_do
from convtui.warm.names import is_path

Record = Mapping[str, Any]


class Names(StrEnum):
    """What the value of a scenario's key can name."""

    CODE = "code"
    """Code that is loaded, a program that is started, or what is handed to either."""
    HOST = "host"
    """Where requests go, and with them a key and what is said."""
    FILE = "file"
    """A file that is read."""
    PARAMS = "params"
    """Parameters of model calls: hosts, files and secrets, but for those that are known."""
    SECRET = "secret"
    """Values that are passed on and may be secret."""
    INERT = "inert"
    """Text, numbers and choices."""


FIELDS: Final[Mapping[str, Names]] = {
    "name": Names.INERT,
    "persona.name": Names.INERT,
    "persona.simulator": Names.INERT,
    "persona.task": Names.INERT,
    "persona.opening": Names.INERT,
    "persona.script": Names.INERT,
    "persona.params": Names.PARAMS,
    "persona.model": Names.HOST,
    "persona.termination_signals": Names.INERT,
    "persona_template": Names.FILE,
    "persona_context_template": Names.FILE,
    "persona_reminder": Names.FILE,
    "provider.use": Names.CODE,
    "provider.system_prompt": Names.INERT,
    "provider.start_prompt": Names.INERT,
    "provider.first_message": Names.INERT,
    "provider.model": Names.HOST,
    "provider.params": Names.PARAMS,
    "provider.options": Names.CODE,
    "sessions": Names.INERT,
    "first_speaker": Names.INERT,
    "follow_up_prompts": Names.INERT,
    "limits.max_turns": Names.INERT,
    "limits.max_total_words": Names.INERT,
    "limits.max_tool_rounds": Names.INERT,
    "limits.turn_timeout": Names.INERT,
    "limits.tool_timeout": Names.INERT,
    "limits.max_tool_result": Names.INERT,
    "turns_scope": Names.INERT,
    "persona_memory": Names.INERT,
    "termination_signal": Names.INERT,
    "on_discard": Names.INERT,
    "on_signal": Names.INERT,
    "on_empty": Names.INERT,
    "on_error_text": Names.INERT,
    "interim": Names.INERT,
    "budget.tokens": Names.INERT,
    "budget.cost": Names.INERT,
    "budget.provider.tokens": Names.INERT,
    "budget.provider.cost": Names.INERT,
    "budget.persona.tokens": Names.INERT,
    "budget.persona.cost": Names.INERT,
    "budget.on_exceeded": Names.INERT,
    "retry.attempts": Names.INERT,
    "retry.base_delay": Names.INERT,
    "retry.max_delay": Names.INERT,
    "log_values": Names.SECRET,
    "retry.max_wait": Names.INERT,
    "tools[].use": Names.CODE,
    "tools[].mcp.command": Names.CODE,
    "tools[].mcp.env": Names.SECRET,
    "tools[].mcp.cwd": Names.FILE,
    "tools[].mcp.url": Names.HOST,
    "tools[].mcp.headers": Names.SECRET,
    "approve_tools": Names.INERT,
    "warm.use": Names.FILE,
    "warm.slots": Names.INERT,
    "warm.max_patterns": Names.INERT,
    "breakpoints": Names.INERT,
    **{f"persona.{key}": Names.HOST for kind in kinds() for key in kind.model_keys},
    **{f"persona.{key}": Names.INERT for kind in kinds() for key in kind.inert},
}
"""Every key of a scenario. One that is missing here is taken for code; a test finds it."""

HARMLESS_PARAMS: Final = frozenset({
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens", "n", "seed",
    "stop", "stream", "stream_options", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "logprobs", "top_logprobs", "logit_bias", "response_format",
    "reasoning_effort", "verbosity", "parallel_tool_calls", "tool_choice", "timeout",
})  # fmt: skip
"""Parameters of model calls that name nothing; every other is asked about."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a scenario names: the key that names it, and its value."""

    field: str
    value: Any

    @property
    def key(self) -> str:
        """Equal for equal items only; reveals nothing of the value."""
        return hashlib.sha256(canonical([self.field, self.value])).hexdigest()


@dataclass(frozen=True, slots=True)
class Question:
    """What the user must agree to before a log is continued."""

    log: str
    why: str
    """Why it is not this user's word, in a sentence."""
    would: list[str]
    """What going on with it would do, a line each, without any secret."""
    items: list[str]
    """What a yes is a yes to: keys of `Item`s; see `StartSpec.vouched`."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Question:
        """The reverse of `as_dict()`."""
        return cls(
            str(data["log"]),
            str(data["why"]),
            [str(line) for line in data["would"]],
            [str(key) for key in data["items"]],
        )

    @property
    def text(self) -> str:
        """The whole question as a command prints it."""
        return "\n".join([f"{self.log}: {self.why}. Going on with it would", *self.lines])

    @property
    def lines(self) -> list[str]:
        """What each item would do, as lines of a list."""
        return [f"  - {line}" for line in self.would]


# --- what a scenario names


def items(scenario: Scenario) -> list[Item]:
    """Everything that a scenario names, except for what is inert."""
    data = scenario.model_dump(mode="json", exclude_none=True)
    return list(_items(data, ""))


def _items(value: Any, field: str) -> Iterator[Item]:
    kind = FIELDS.get(field)
    if kind is None and isinstance(value, dict) and _has_parts(field):
        for name, item in value.items():
            yield from _items(item, f"{field}.{name}" if field else name)
    elif kind is None and isinstance(value, list) and _has_parts(f"{field}[]"):
        # A server is one thing: its program must not be agreed to with other arguments.
        yield from (Item(f"{field}[]", _tool(item)) for item in value)
    elif kind is Names.PARAMS and isinstance(value, dict):
        for name, item in value.items():
            if name not in HARMLESS_PARAMS:
                yield Item(f"{field}.{name}", item)
    elif kind is not Names.INERT and value not in ("", [], {}):
        item = _absolute(value) if field == "provider.use" else value
        named = field != "warm.use" or is_path(str(value))
        if named and (field, item) != ("provider.use", "demo"):
            yield Item(field, item)


def _has_parts(field: str) -> bool:
    return not field or any(key.startswith(f"{field}.") for key in FIELDS)


def _tool(tool: Any) -> Any:
    if isinstance(tool, dict) and isinstance(tool.get("use"), str):
        return {**tool, "use": _absolute(tool["use"])}
    return tool


def _absolute(use: str) -> str:
    """A SPEC as it will be loaded: relative paths are below the working directory."""
    try:
        return str(parse_provider_spec(use).resolved(Path.cwd()))
    except ProviderLoadError:
        return use


def vouched_for(scenario: Scenario, fields: Collection[str] | None = None) -> list[str]:
    """The keys of what a scenario names; only of `fields` and what is below them, where given."""
    return [
        item.key
        for item in items(scenario)
        if fields is None or any(_below(item.field, field) for field in fields)
    ]


def vouched_in_session(scenario: Mapping[str, Any]) -> list[str]:
    """The keys of what a session's own scenario names, as it stands in its `StartSpec`."""
    return vouched_for(Scenario.from_public(scenario)) if scenario else []


def vouched_folders(scenario: Scenario, folders: Sequence[str | Path]) -> list[str]:
    """The keys of the code in folders whose code the user's settings trust."""
    roots = [real_path(folder) for folder in folders]

    def inside(use: Any) -> bool:
        spec = spec_of(use)
        if spec is None or spec.kind != "file":
            return False
        file = real_path(spec.target)
        return any(file.is_relative_to(root) for root in roots)

    return [
        item.key
        for item in items(scenario)
        if (item.field == "provider.use" and inside(item.value))
        or (item.field == "tools[]" and set(item.value) == {"use"} and inside(item.value["use"]))
    ]


def _below(field: str, named: str) -> bool:
    field = field.replace("[]", "")
    return field == named or field.startswith(f"{named}.")


# --- the owner of a header


def sealed_part(header: Record) -> dict[str, Any]:
    """The part of a header that is sealed: everything that can name something, and the run's owner.

    Keys that name nothing are included: a prompt by another author is to be read before it is
    given tools.
    """
    return {name: header.get(name) for name in ("id", "provider", "scenario")}


def make_seal(header: Record) -> str:
    """The seal for a header as it will stand in its log.

    Raises `FileError` when there is no key that can be used.
    """
    key = load_key(Paths.find(), make=True)
    assert key is not None
    return seal_of(key, sealed_part(header))


def why_not_own(header: Record) -> str:
    """One sentence why a header is not this user's own; empty when it is."""
    seal = header.get("seal")
    if seal is None:
        return (
            "it was imported, or written by an older convtui"
            if header.get("origin") == "import"
            else "its header has no seal: it was not written by this account's convtui, or by an"
            " older one"
        )
    try:
        key = load_key(Paths.find())
    except FileError as error:
        return f"its seal cannot be checked ({error})"
    if key is None or not is_sealed(key, sealed_part(header), seal):
        return "it was written under another account, or changed since it was written"
    return ""


def own_scenario(header: Record) -> OwnValues:
    """A header's scenario, filled from the user's own file only where the header is their own."""
    recorded = header.get("scenario")
    recorded = recorded if isinstance(recorded, dict) else {}
    return without_values(recorded) if why_not_own(header) else with_own_values(recorded)


# --- the rule


def refuse_unasked(
    scenario: Scenario, header: Record, log: str, *, vouched: Collection[str]
) -> None:
    """Raises `ConsentNeeded` when a scenario that continues a log names what the user did not.

    `header` is the log's own, `vouched` the keys of what the user has named or agreed to. Nothing
    may have been loaded, started or sent before.
    """
    known = set(vouched)
    unknown = [item for item in items(scenario) if item.key not in known]
    if not unknown:
        return
    why = why_not_own(header)
    if not why:
        for recorded in (header["scenario"], own_scenario(header).scenario):
            with contextlib.suppress(ConvtuiError):
                known |= set(vouched_for(Scenario.from_public(recorded)))
        unknown = [item for item in unknown if item.key not in known]
        why = "its header does not name all of this"
    if unknown:
        keys = list(dict.fromkeys(item.key for item in unknown))
        would = [what_it_would_do(item.field, item.value, scenario) for item in unknown]
        question = Question(log, why, would, keys)
        raise ConsentNeeded(
            f"{question.text}\nNothing was run. Look at it, then give --trust to do all that, or"
            " name what to use instead (--provider, --api-base, --set KEY=VALUE, a scenario).",
            question.as_dict(),
        )
