"""The pages of the manual: their names, what each is about, and their text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from convtui.actions.registry import Keymap, key_table_markdown
from convtui.errors import FileError

TOPICS: Final[Mapping[str, str]] = {
    "start": "Install it, watch a first conversation, and find your way around.",
    "providers": "Write, check, probe and reload the system under test.",
    "sessions-and-hooks": "What happens to a reply: stages, hooks, signals, retries, endings.",
    "simulated-users": "Personas, the kinds of simulated user, and speaking yourself.",
    "scenarios": "Every key of a scenario, a persona and a provider; tools and budgets.",
    "debugging": "Pause, step, edit, take over, branch, reload and replay.",
    "filters": "The filter language of breakpoints, search and the library.",
    "batches": "Run many conversations at once, resume them, compare the results.",
    "rehook": "Run your hooks again over recorded replies, without a model call.",
    "profiles": "Reliability profiles, compression checks and A/B comparisons.",
    "warm-starts": "Put what worked in saved runs before a new conversation.",
    "library": "Logs: list, search, tag, compare, resume and compress saved runs.",
    "formats": "Import and export other tools' transcripts.",
    "python": "Run conversations and read logs from Python.",
    "keys": "Every key, and how to change it.",
    "settings": "Every setting, environment variables, themes and paths.",
    "security": "What runs code, what is stored, and how secrets are kept out.",
    "maintainers": "The architecture, and recipes for extending it.",
}
"""Every topic with one sentence about it, in reading order."""

TOPIC_OF_CONTEXT: Final[Mapping[str, str]] = {
    "picker": "start",
    "dead": "debugging",
    "live": "debugging",
    "held": "debugging",
    "replay": "debugging",
    "take_over": "simulated-users",
    "search": "filters",
    "inspector": "debugging",
    "outline": "debugging",
    "runs": "library",
    "compare": "library",
    "rehook": "rehook",
    "profile": "profiles",
    "warm": "warm-starts",
    "arms": "profiles",
    "fleet": "batches",
    "batches": "batches",
    "overlay": "debugging",
}
"""The topic about each context of `convtui.actions.registry`."""


def topic_of(contexts: Iterable[str]) -> str:
    """The topic about the first of `contexts` that has one."""
    for context in contexts:
        if context in TOPIC_OF_CONTEXT:
            return TOPIC_OF_CONTEXT[context]
    return "start"


def page_file(topic: str) -> Path:
    """The file of a topic."""
    return Path(__file__).parent / f"{topic}.md"


def page(topic: str, keymap: Keymap | None = None) -> str:
    """The Markdown of one of `TOPICS`; the table of the page `keys` shows `keymap`.

    Raises `FileError` when the page is missing from the installation.
    """
    try:
        text = page_file(topic).read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"the manual page {topic!r} is missing: {error.strerror}") from None
    if topic == "keys" and keymap is not None:
        text = replace_block(text, "keys", key_table_markdown(keymap))
    return text


def replace_block(text: str, name: str, content: str) -> str:
    """`text` with `content` between `<!-- name -->` and `<!-- /name -->`.

    Raises ValueError when there is no such block.
    """
    block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    replaced, count = block.subn(lambda match: match[1] + content + match[2], text)
    if not count:
        raise ValueError(f"no block called {name!r}")
    return replaced
