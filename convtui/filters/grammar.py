"""From an expression to its syntax tree, with lark; what is wrong is said with a caret under it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from convtui.errors import BadValueError, FilterError, did_you_mean
from convtui.filters.atoms import ATOMS, compile_atom
from convtui.filters.tree import QUOTED, WORD, And, Atom, Node, Not, Or, unquoted
from convtui.text.boundary import visible_line

if TYPE_CHECKING:
    from lark import Lark, Token, Tree
    from lark.exceptions import UnexpectedInput

MAX_EXPRESSION: Final = 4000
MAX_DEPTH: Final = 60
_CONTEXT = 60

_GRAMMAR = r"""
?start: any
?any: all ("|" all)*
?all: one ("&" one)*
?one: "!" one -> negated
    | "(" any ")"
    | PLAIN -> atom
    | NAMED _value -> atom
    | MAYBE _value? -> atom
    | COMPARE OP _value -> atom
    | _value -> said
_value: QUOTED | WORD
OP.3: "<=" | ">=" | "<" | "=" | ">"
QUOTED.2: /%(quoted)s/
WORD.1: /%(word)s/
%(terminals)s
%%ignore /\s+/
"""
_STARTS: Final = "an atom such as ~signal, a word, ! or ("


def _form(argument: str) -> str:
    if not argument:
        return "PLAIN"
    if argument.startswith("OP"):
        return "COMPARE"
    return "MAYBE" if argument.startswith("[") else "NAMED"


@cache
def _parser() -> Lark:
    from lark import Lark

    forms: dict[str, list[str]] = {}
    for name, kind in ATOMS.items():
        forms.setdefault(_form(kind.argument), []).append(name)
    terminals = "\n".join(
        f"{form}.4: /~(?:{'|'.join(names)})(?![A-Za-z0-9_])/" for form, names in forms.items()
    )
    grammar = _GRAMMAR % {"quoted": QUOTED, "word": WORD, "terminals": terminals}
    return Lark(grammar, parser="lalr", lexer="contextual", maybe_placeholders=False)


def parse_tree(expression: str, *, breakpoint: bool = False) -> Node:
    """The syntax tree of an expression, every value checked.

    With `breakpoint` the atoms that make no sense there are refused. Raises `FilterError`, which
    says what was expected and where.
    """
    from lark.exceptions import LarkError, UnexpectedInput

    if len(expression) > MAX_EXPRESSION:
        raise FilterError(
            f"a filter of more than {MAX_EXPRESSION} characters", expression, MAX_EXPRESSION
        )
    if not expression.strip():
        raise FilterError(f"the filter is empty: expected {_STARTS}", expression, 0)
    try:
        tree = _parser().parse(expression)
    except UnexpectedInput as error:
        raise _explain(error, expression) from None
    except LarkError as error:  # pragma: no cover - lark has no other kind for a text
        raise FilterError(f"not a filter: {error}", expression, 0) from None
    return _node(tree, expression, breakpoint, 0)


def _node(tree: Tree[Token], expression: str, breaks: bool, depth: int) -> Node:
    children: list[Any] = tree.children
    if depth > MAX_DEPTH:
        raise FilterError(f"a filter nested more than {MAX_DEPTH} deep", expression, 0)

    def below(item: Tree[Token]) -> Node:
        return _node(item, expression, breaks, depth + 1)

    if tree.data == "any":
        return Or(tuple(map(below, children)))
    if tree.data == "all":
        return And(tuple(map(below, children)))
    if tree.data == "negated":
        return Not(below(children[0]))
    if tree.data == "said":
        return _checked(Atom("said", unquoted(children[0])), children, expression)
    name, *rest = children
    value = unquoted(rest[-1]) if rest else None
    atom = Atom(name[1:], value, str(rest[0]) if len(rest) == 2 else None)
    if breaks and not ATOMS[atom.name].breaks:
        raise error_at(f"~{atom.name} cannot be a breakpoint", expression, name.start_pos)
    return _checked(atom, children, expression)


def _checked(atom: Atom, tokens: list[Token], expression: str) -> Atom:
    try:
        compile_atom(atom)
    except BadValueError as wrong:
        token = tokens[-1]
        start = (token.start_pos or 0) + (token[:1] in ('"', "'"))
        within = min(wrong.offset, len(token))
        raise error_at(f"~{atom.name}: {wrong}", expression, start + within) from None
    return atom


def _explain(error: UnexpectedInput, expression: str) -> FilterError:
    column: Any = error.pos_in_stream
    ended = getattr(getattr(error, "token", None), "type", "") == "$END"
    if column is None or column < 0 or ended:
        column = len(expression)
    rest = expression[column:]
    name = re.match(r"~\w*", rest)
    if name is not None and name.group()[1:] not in ATOMS:
        known = [f"~{atom}" for atom in ATOMS]
        hint = did_you_mean(name.group(), known) or ": see the list in the help"
        return error_at(f"unknown atom {name.group()}{hint}", expression, column)
    if rest[:1] in ('"', "'"):
        close = re.match(QUOTED, rest)
        if close is None:
            return error_at(f"this quote is not closed: expected {rest[0]}", expression, column)
    got = visible_line(rest.split(maxsplit=1)[0], 20) if rest.strip() else "the end"
    expected = _expected(expression[:column])
    message = f"expected {expected}, found {got}"
    if expected.startswith("&") and re.match(WORD, rest):
        message += ' (words that belong together are written "in quotes")'
    return error_at(message, expression, column)


def _expected(before: str) -> str:
    """What may follow a valid beginning."""
    last = re.search(r"(~\w+)\s*(<=|>=|<|=|>)?\s*$", before)
    kind = ATOMS.get(last.group(1)[1:]) if last is not None else None
    if last is not None and kind is not None:
        form = _form(kind.argument)
        if form == "COMPARE":
            what = kind.argument.removeprefix("OP ")
            after = {"N": "a number", "SECONDS": "a number of seconds", "USD": "a number (USD)"}
            if last.group(2):
                return (
                    f"{after.get(what, 'a day, such as 2026-01-31')} after {last.group(0).strip()}"
                )
            return f"one of < <= = >= > after {last.group(1)}"
        if form == "NAMED":
            return f"{kind.argument} after {last.group(1)}"
        if form == "MAYBE" and before[-1:].isspace():
            return f"{kind.argument.strip('[]')}, &, | or the end after {last.group(1)}"
    if not before.strip() or re.search(r"[&|!(]\s*$", before):
        return _STARTS
    return "& or | or )" if _open_groups(before) else "& or | or the end"


def _open_groups(before: str) -> bool:
    plain = re.sub(QUOTED, "", before)
    return plain.count("(") > plain.count(")")


def error_at(message: str, expression: str, column: int) -> FilterError:
    """An error with the expression below it and a caret under the column."""
    start = max(0, column - _CONTEXT)
    head = ("…" if start else "") + visible_line(expression[start:column])
    tail = visible_line(expression[column : column + _CONTEXT])
    tail += "…" if column + _CONTEXT < len(expression) else ""
    caret = " " * len(head) + "^"
    return FilterError(f"{message}\n  {head}{tail}\n  {caret}", expression, column)
