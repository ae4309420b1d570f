"""A conversation as one HTML page that needs nothing else: no file, no address, no library."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final

from convtui.config.paths import builtin_dir
from convtui.config.themes import load_theme
from convtui.share.conversation import SharedConversation, SharedSection, SharedTool, SharedTurn
from convtui.text.word_diff import word_diff

_HERE: Final = Path(__file__).parent
_TAGS: Final = {"-": "del", "+": "ins"}
_KEYS: Final = (
    (("j", "k"), "next and previous turn"),
    (("]", "["), "next and previous event"),
    (("enter",), "unfold or fold the turn"),
    (("o",), "all turns"),
    (("/",), "search"),
    (("n", "N"), "next and previous match"),
    (("g", "G"), "first and last turn"),
    (("d",), "light or dark"),
)


def html_page(shared: SharedConversation) -> str:
    """The page. All texts of the conversation are escaped, and only these two pieces of code run or
    style anything: the page's own, named by their digests in its content security policy."""
    style = _variables() + (_HERE / "page.css").read_text(encoding="utf-8")
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)};"
        " base-uri 'none'; form-action 'none'"
    )
    title = escape(shared.title)
    names = _Names(shared)
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>",
            '<a class="skip" href="#transcript">Skip to the transcript</a>',
            *_top(shared),
            '<div class="columns">',
            *_outline(shared, names),
            '<main id="transcript" aria-label="Transcript">',
            *(part for section in shared.sections for part in _section(section, names)),
            '<section class="closing" aria-label="How it ended">',
            *(f"<p>{escape(line)}</p>" for line in shared.closing),
            f"</section>\n</main>\n</div>\n<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _variables() -> str:
    """The colours of the screen's two themes as CSS variables."""
    themes = builtin_dir("themes")
    light, dark = (
        "".join(f"--{role}:{colour};" for role, colour in theme.colors.items())
        for theme in (load_theme(themes / f"{name}.yaml") for name in ("light", "dark"))
    )
    return (
        f":root{{color-scheme:light;{light}}}"
        f"@media (prefers-color-scheme:dark){{:root{{color-scheme:dark;{dark}}}}}"
        f':root[data-theme="light"]{{color-scheme:light;{light}}}'
        f':root[data-theme="dark"]{{color-scheme:dark;{dark}}}'
        f"@media print{{:root,:root[data-theme]{{color-scheme:light;{light}}}}}\n"
    )


class _Names:
    """The ids of turns and sessions in the page: `t2-7`, with a number where there are several."""

    def __init__(self, shared: SharedConversation) -> None:
        self._turns: dict[int, str] = {}
        self._sections: dict[int, str] = {}
        taken: set[str] = set()
        for number, section in enumerate(shared.sections, 1):
            self._sections[id(section)] = f"s{number}"
            for turn in section.turns:
                name = base = f"t{turn.address.replace(':', '-')}"
                count = 1
                while name in taken:
                    count += 1
                    name = f"{base}-{count}"
                taken.add(name)
                self._turns[id(turn)] = name

    def turn(self, turn: SharedTurn) -> str:
        return self._turns[id(turn)]

    def section(self, section: SharedSection) -> str:
        return self._sections[id(section)]


def _top(shared: SharedConversation) -> Iterator[str]:
    yield f'<header class="top">\n<h1>{escape(shared.title)}</h1>'
    facts = [*shared.facts, *([shared.excerpt] if shared.excerpt else [])]
    yield f'<p class="facts">{"".join(f"<span>{escape(fact)}</span>" for fact in facts)}</p>'
    yield '<div class="bar" role="search" data-script hidden>'
    yield '<label for="search" class="hidden">Search the transcript</label>'
    yield '<input id="search" type="search" placeholder="search" autocomplete="off">'
    yield '<output id="found" for="search" aria-live="polite"></output>'
    yield '<button id="folds" type="button">unfold or fold all</button>'
    yield '<button id="theme" type="button">light or dark</button></div>'
    keys = " · ".join(
        f"{' '.join(f'<kbd>{escape(key)}</kbd>' for key in keys)} {what}" for keys, what in _KEYS
    )
    yield f'<p class="keys" data-script hidden>{keys}</p>\n</header>'


def _outline(shared: SharedConversation, names: _Names) -> Iterator[str]:
    """The sessions, with the turns that something is about."""
    yield '<nav aria-label="Sessions and events">'
    for section in shared.sections:
        head = section.head or "before the first session"
        yield f'<a href="#{names.section(section)}">{escape(head.partition(" (")[0])}</a>\n<ol>'
        for turn in section.turns:
            if turn.interesting:
                label = f"{turn.address} {turn.speaker}"
                yield f'<li><a href="#{names.turn(turn)}">{_sign(turn)}{escape(label)}</a></li>'
        yield "</ol>"
    yield "</nav>"


def _section(section: SharedSection, names: _Names) -> Iterator[str]:
    name = names.section(section)
    yield f'<section aria-labelledby="{name}">'
    yield f'<h2 id="{name}">{escape(section.head or "before the first session")}</h2>'
    for item in section.items:
        if isinstance(item, SharedTurn):
            yield from _turn(item, names.turn(item))
        else:
            yield f'<p class="line">{escape(item)}</p>'
    if section.end:
        yield f'<p class="end">{escape(section.end)}</p>'
    yield "</section>"


def _sign(turn: SharedTurn) -> str:
    return f'<span class="sign {escape(turn.role)}" aria-hidden="true">{escape(turn.sign)}</span>'


def _turn(turn: SharedTurn, name: str) -> Iterator[str]:
    side = turn.speaker if turn.speaker in ("persona", "provider") else "other"
    event = " data-event" if turn.interesting else ""
    named = f'id="{name}" tabindex="-1" aria-labelledby="{name}-h"'
    yield f'<article class="turn {side}" {named}{event}>'
    address = f'<span class="address">{escape(turn.address)}</span>'
    speaker = f'<span class="speaker">{escape(turn.speaker)}</span>'
    yield f'<h3 id="{name}-h">{_sign(turn)}{address} {speaker}</h3>'
    if turn.text is not None and turn.struck:
        dropped = '<span class="hidden">dropped: </span>'
        yield f'<p class="text dropped">{dropped}<del>{escape(turn.text)}</del></p>'
    elif turn.text is not None:
        yield f'<p class="text">{escape(turn.text)}</p>'
    for tool in turn.tools:
        yield from _tool(tool)
    marks = [*turn.marks, *((note, "human") for note in turn.notes)]
    if marks:
        lines = "".join(f'<li class="{escape(role)}">{escape(text)}</li>' for text, role in marks)
        yield f'<ul class="marks">{lines}</ul>'
    yield from _stages(turn)
    yield "</article>"


def _tool(tool: SharedTool) -> Iterator[str]:
    role = "error" if tool.failed else "ok" if tool.result is not None else "warning"
    number = f", round {tool.round}" if tool.round > 1 else ""
    yield (
        f'<details class="call"><summary><span class="tool">tool {escape(tool.name)}</span>'
        f' <span class="{role}">{escape(tool.state)}</span>{number}</summary>'
    )
    yield f"<h4>arguments</h4><pre>{escape(tool.arguments)}</pre>"
    if tool.result is not None:
        yield f"<h4>result</h4><pre>{escape(tool.result)}</pre>"
    yield "</details>"


def _stages(turn: SharedTurn) -> Iterator[str]:
    if not (turn.stages or turn.raw is not None or turn.reasoning):
        return
    what = "stages, raw against shown" if turn.raw is not None else "stages"
    yield f'<details class="stages"><summary>{what}</summary>'
    if turn.stages:
        lines = "".join(f"<li>{escape(line)}</li>" for line in turn.stages)
        yield f'<ol class="marks">{lines}</ol>'
    if turn.raw is not None:
        yield "<h4>raw reply, with what became of it</h4>"
        yield f'<div class="diff">{_diff(turn.raw, turn.shown)}</div>'
    if turn.reasoning:
        yield f"<h4>reasoning</h4><pre>{escape(turn.reasoning)}</pre>"
    yield "</details>"


def _diff(before: str, after: str) -> str:
    pieces = []
    for op, text in word_diff(before, after):
        tag = _TAGS.get(op)
        pieces.append(f"<{tag}>{escape(text)}</{tag}>" if tag else escape(text))
    return "".join(pieces)
