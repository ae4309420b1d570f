"""Derives from the signature of a provider function how it is called and what it returns.

VERA-MH 1.0 calls `generate_response` with the last message as text and takes text, or text and
metadata; later versions call it with the list of all turns. Only the parameters tell which.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, Final, Literal

from convtui.providers.annotations import list_of_text, meaning_of, returned, shown

Gets = Literal["text", "turns"]

_TURN_WORDS: Final = frozenset(
    {"conversation", "dialog", "dialogue", "history", "messages", "transcript", "turns"}
)
_TEXT_WORDS: Final = frozenset(
    {"content", "input", "message", "msg", "prompt", "query", "question", "text", "utterance"}
)
_OTHER_WORDS: Final = frozenset(
    {"first", "format", "id", "initial", "max", "min", "model", "start", "system", "type"}
)
"""Words that give a parameter another meaning: `system_prompt`, `conversation_id`."""
_NAMED: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_DEEPEST: Final = 20
"""The most decorators that are unwrapped."""
_WORDING: Final[dict[Gets, str]] = {"text": "the last message as text", "turns": "all turns"}


@dataclass(slots=True, frozen=True)
class Argument:
    """One argument of a call, positional if it has no `name`."""

    gets: Gets
    parameter: str
    """Its name in the signature, or `*args` or `**kwargs`."""
    name: str | None = None


@dataclass(slots=True, frozen=True)
class CallShape:
    """How a provider function is called, and what its signature says about the reply."""

    arguments: tuple[Argument, ...] = ()
    returns: str = ""
    """A description of the annotated reply; empty if unknown."""
    notes: tuple[str, ...] = ()
    """Assumptions that had to be made."""
    unusable: str = ""
    """Why it cannot be called; empty if it can."""
    useless_reply: str = ""
    """Why the annotated reply would be refused; empty if it would not."""

    @property
    def only_text(self) -> bool:
        """Whether it gets only the last message, so that it has to keep the history itself."""
        return {argument.gets for argument in self.arguments} == {"text"}

    @property
    def takes_text(self) -> bool:
        return any(argument.gets == "text" for argument in self.arguments)

    def bind(self, text: str, turns: object) -> tuple[list[object], dict[str, object]]:
        """The positional and the keyword arguments of one call."""
        if not self.arguments:
            return [turns], {}  # the call then fails with the right error
        values: dict[Gets, object] = {"text": text, "turns": turns}
        positional = [values[a.gets] for a in self.arguments if a.name is None]
        named = {a.name: values[a.gets] for a in self.arguments if a.name is not None}
        return positional, named

    def gets(self, turns: str) -> str:
        """A description of its arguments; `turns` is the term for the list of all turns."""
        parts = [
            f"{turns if argument.gets == 'turns' else _WORDING['text']} ({argument.parameter})"
            for argument in self.arguments
        ]
        return " and ".join(parts)


def read_call_shape(
    function: Callable[..., Any],
    *,
    inherited: Iterable[Callable[..., Any]] = (),
    names_decide: bool = True,
) -> CallShape:
    """How `function` is called.

    Annotations decide, then names if `names_decide`, else it gets the list of turns. If the
    signature is `*args, **kwargs`, that of the wrapped function (`functools.wraps`) counts, then
    those of `inherited`, the definitions that it overrides.
    """
    returns, useless = "", ""
    outermost: list[Parameter] | None = None
    for candidate in (*_layers(function), *inherited):
        parameters = _parameters(candidate)
        if parameters is None:
            continue
        outermost = parameters if outermost is None else outermost
        hints = _hints(candidate)
        if not returns and not useless:
            returns, useless = returned(hints.get("return", Parameter.empty))
        named = [parameter for parameter in parameters if parameter.kind in _NAMED]
        if not named and any(parameter.kind not in _NAMED for parameter in parameters):
            continue
        shape = _choose(named, parameters, outermost, hints, names_decide)
        return CallShape(shape.arguments, returns, shape.notes, shape.unusable, useless)
    argument, note = _undeclared(outermost)
    return CallShape((argument,), returns, (note,), "", useless)


def _layers(function: Any) -> Iterator[Callable[..., Any]]:
    """A function and the functions that it wraps, outermost first."""
    for _ in range(_DEEPEST):
        yield function
        inner = getattr(function, "__wrapped__", None)
        if inner is None:
            return
        owner = getattr(function, "__self__", None)
        function = types.MethodType(inner, owner) if inspect.ismethod(function) else inner


def _parameters(function: Callable[..., Any]) -> list[Parameter] | None:
    try:
        return list(inspect.signature(function, follow_wrapped=False).parameters.values())
    except Exception:  # noqa: BLE001 - builtins have none, and annotations may fail to evaluate
        return None


def _undeclared(parameters: list[Parameter] | None) -> tuple[Argument, str]:
    """The argument of a function that names no parameter, and a note about it."""
    only_names = parameters is not None and not any(
        parameter.kind is Parameter.VAR_POSITIONAL for parameter in parameters
    )
    if only_names:
        argument = Argument("turns", "**kwargs", "conversation_history")
        return argument, "takes any keyword: the list goes to it as conversation_history"
    note = "does not name its parameters: it is given the list"
    return Argument("turns", "*args"), note


def _choose(
    named: list[Parameter],
    parameters: list[Parameter],
    outermost: list[Parameter],
    hints: Mapping[str, Any],
    names_decide: bool,
) -> CallShape:
    notes: list[str] = []
    kinds: dict[str, Gets] = {}
    for parameter in named:
        kind = _kind(parameter, hints, names_decide, notes)
        if kind is not None:
            kinds[parameter.name] = kind
    by_name = {name for name in kinds if _named(name) is not None}
    if by_name:
        # An optional text parameter is not the message if another one is named so.
        optional = {p.name for p in named if p.default is not Parameter.empty}
        kinds = {n: kind for n, kind in kinds.items() if n in by_name or n not in optional}
    given = _given(named, kinds)
    if not given:
        takes_more = any(p.kind is Parameter.VAR_POSITIONAL for p in parameters)
        first = _unnamed(named, hints if names_decide else {})
        if first is None and not takes_more:
            return CallShape(unusable="takes neither a message nor a history")
        if first is None:
            given = {}
        else:
            given = {first.name: "turns"}
            if names_decide:
                notes.append(
                    f"the name {first.name} does not say what it takes: it is given the list"
                )
    missing = [p.name for p in named if p.default is Parameter.empty and p.name not in given]
    if missing:
        return CallShape(unusable=f"needs {', '.join(missing)}, which nobody gives")
    if not given:
        return CallShape((Argument("turns", "*args"),), notes=tuple(notes))
    return _arranged(named, outermost, given, notes)


def _given(named: list[Parameter], kinds: Mapping[str, Gets]) -> dict[str, Gets]:
    """The value for each parameter, each value once.

    A history beside a message is passed as well. A message beside a history is passed only if it
    is required: an optional one may mean something else.
    """
    given: dict[str, Gets] = {}
    for parameter in named:
        kind = kinds.get(parameter.name)
        if kind is None or kind in given.values():
            continue
        if kind == "text" and given and parameter.default is not Parameter.empty:
            continue
        given[parameter.name] = kind
    return given


def _unnamed(named: list[Parameter], hints: Mapping[str, Any]) -> Parameter | None:
    """The parameter for the list if no name or annotation identifies one."""
    usable = [p for p in named if meaning_of(hints.get(p.name)) != "other"]
    required = [p for p in usable if p.default is Parameter.empty]
    by_position = [p for p in usable if p.kind is not Parameter.KEYWORD_ONLY]
    return next(iter([*required, *by_position]), None)


def _arranged(
    named: list[Parameter],
    outermost: list[Parameter],
    given: Mapping[str, Gets],
    notes: Sequence[str],
) -> CallShape:
    """The arguments, by position as far as possible, then by name."""
    positional = any(p.kind is not p.KEYWORD_ONLY and p.kind is not p.VAR_KEYWORD
                     for p in outermost)  # fmt: skip
    arguments: list[Argument] = []
    for parameter in named:
        if parameter.name not in given:
            positional = False
            continue
        by_position = positional and parameter.kind is not Parameter.KEYWORD_ONLY
        name = None if by_position else parameter.name
        if name is not None and parameter.kind is Parameter.POSITIONAL_ONLY:
            return CallShape(unusable=f"{name} cannot be given: what stands before it is not known")
        arguments.append(Argument(given[parameter.name], parameter.name, name))
    return CallShape(tuple(arguments), notes=tuple(notes))


# --- what a parameter takes


def _kind(
    parameter: Parameter, hints: Mapping[str, Any], names_decide: bool, notes: list[str]
) -> Gets | None:
    """What a parameter takes; None if neither annotation nor name says."""
    annotation = hints.get(parameter.name, parameter.annotation)
    annotated = meaning_of(annotation)
    named = _named(parameter.name)
    if annotated in ("text", "turns"):
        if annotated == "text" and named != "text" and not _other_thing(parameter):
            if named == "turns":
                notes.append(
                    f"{parameter.name} is annotated {shown(annotation)}: it is given the last"
                    " message as text, not a history"
                )
            return "text"
        if annotated == "text" and named is None:
            return None
        if annotated == "turns" and list_of_text(annotation):
            notes.append(
                f"{parameter.name} is annotated {shown(annotation)}: it is given dictionaries,"
                " not texts"
            )
        return "text" if annotated == "text" else "turns"
    if named is None:
        return None
    if not names_decide:
        if named == "text" and annotated is None:
            notes.append(
                f"{parameter.name} is given the list of all messages; annotate it as `str` to be"
                " given the last message as text"
            )
        return "turns" if named == "turns" else None
    if annotated == "other":
        notes.append(
            f"{parameter.name} is annotated {shown(annotation)}: it is given"
            f" {'the last message as text' if named == 'text' else 'the list of all turns'}"
        )
    return named


def _other_thing(parameter: Parameter) -> bool:
    """Whether a text parameter is an option of another meaning, such as `system_prompt`."""
    words = set(parameter.name.lower().split("_"))
    optional = parameter.default is not Parameter.empty
    return bool(words & _OTHER_WORDS) or (optional and isinstance(parameter.default, str))


def _named(name: str) -> Gets | None:
    words = set(name.lower().split("_"))
    if words & _OTHER_WORDS:
        return None
    if words & _TURN_WORDS:
        return "turns"
    return "text" if words & _TEXT_WORDS else None


def _hints(function: Any) -> dict[str, Any]:
    """A function's annotations, evaluated as far as that is possible."""
    target = getattr(function, "func", function)  # functools.partial
    if not (inspect.isfunction(target) or inspect.ismethod(target)):
        target = getattr(type(target), "__call__", target)  # noqa: B004 - an object that is called
    target = getattr(target, "__func__", target)
    raw = dict(getattr(target, "__annotations__", None) or {})
    space = {**vars(typing), **getattr(target, "__globals__", {})}
    for name, annotation in raw.items():
        if isinstance(annotation, str):
            try:
                raw[name] = eval(annotation, space)
            except Exception:  # noqa: BLE001 - names under TYPE_CHECKING and the like
                continue
    return raw
