"""Reads the annotations of a provider function: text, a list of turns, or something else."""

from __future__ import annotations

import collections.abc
import re
import types
import typing
from collections.abc import Mapping
from inspect import Parameter
from typing import Any, Final, Literal


def meaning_of(annotation: Any) -> Literal["text", "turns", "other"] | None:
    """What an annotation accepts; None if it is missing, too general or ambiguous."""
    if annotation is Parameter.empty or annotation is Any or annotation is object:
        return None
    if isinstance(annotation, str):
        return _spelled(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        kinds = {meaning_of(one) for one in arguments if one is not type(None)}
        return kinds.pop() if len(kinds) == 1 else None
    if origin is typing.Annotated:
        return meaning_of(arguments[0])
    if origin is Literal:
        return "other"
    if isinstance(annotation, typing.NewType):
        return meaning_of(annotation.__supertype__)
    base = origin or annotation
    if not isinstance(base, type):
        return None
    if issubclass(base, str):
        return "text"
    if issubclass(base, (bytes, bytearray, bool, int, float, complex, Mapping)):
        return "other"
    several = (list, tuple, collections.abc.Sequence)
    return "turns" if issubclass(base, several) or base in _ITERABLES else None


_ITERABLES: Final = (collections.abc.Iterable, collections.abc.Collection)


def _spelled(annotation: str) -> Literal["text", "turns"] | None:
    """What an annotation accepts that could not be evaluated, by its spelling."""
    plain = re.sub(r"\s|None\||\|None|\"|'|(?:typing|t|collections\.abc)\.", "", annotation)
    inner = re.fullmatch(r"Optional\[(.*)\]", plain)
    plain = inner[1] if inner else plain
    if plain == "str":
        return "text"
    return "turns" if re.match(r"(list|List|Sequence|Iterable)\b[^|]*$", plain) else None


def list_of_text(annotation: Any) -> bool:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(map(list_of_text, typing.get_args(annotation)))
    return str in typing.get_args(annotation)


def shown(annotation: Any) -> str:
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def returned(annotation: Any) -> tuple[str, str]:
    """A description of a return annotation, and why such a reply is refused; each may be empty."""
    annotation = _awaited(annotation)
    if annotation is None or annotation is type(None):
        return "", "is annotated to return None: a reply is text"
    if annotation is Parameter.empty or annotation is Any or annotation is object:
        return "", ""
    if isinstance(annotation, str):
        return ("text", "") if _spelled(annotation) == "text" else ("", "")
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        kinds = {returned(one) for one in arguments if one is not type(None)}
        return kinds.pop() if len(kinds) == 1 else ("", "")
    base = origin or annotation
    if not isinstance(base, type):
        return "", ""
    return _returned_class(base, arguments, shown(annotation))


def _returned_class(base: type, arguments: tuple[Any, ...], name: str) -> tuple[str, str]:
    refused = f"is annotated to return {name}: a reply is text, or text and metadata"
    if issubclass(base, tuple) and arguments:
        pair = len(arguments) == 2 and arguments[0] is str and arguments[1] is not Ellipsis
        if pair and meaning_of(arguments[1]) in ("other", None):
            return "text and metadata", ""
        return "", refused
    if issubclass(base, str):
        return "text", ""
    if issubclass(base, Mapping):
        return "a dictionary, whose content, text or response is said", ""
    if issubclass(base, (bytes, bool, int, float)) or (base is list and arguments == (str,)):
        return "", refused
    return "", ""


def _awaited(annotation: Any) -> Any:
    """The result type of an annotation such as `Awaitable[str]`."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (collections.abc.Awaitable, collections.abc.Coroutine) and arguments:
        return arguments[-1]
    return annotation
