"""Who said what in conversations of every format that the samples have, for measuring on them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convtui.errors import FileError
from convtui.log.formats.registry import reader_for
from convtui.records.models import TurnCommitted
from tests.places import SAMPLES

_SPEAKERS = {"user": "persona", "human": "persona", "assistant": "provider", "gpt": "provider"}


@dataclass(slots=True)
class Conversation:
    """A conversation's shown texts, in order."""

    name: str
    persona: str = ""
    provider: str = ""
    turns: list[tuple[int, str, str]] = field(default_factory=list)
    """Session, speaker ("persona" or "provider") and text."""


def sample_conversations(folder: Path = SAMPLES) -> list[Conversation]:
    """Every conversation below `folder`, through the program's importers where one reads it."""
    conversations: list[Conversation] = []
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or "faults" in path.relative_to(folder).parts:
            continue
        try:
            conversations += conversations_of(path)
        except FileError:
            continue
    return [each for each in conversations if each.turns]


def conversations_of(path: Path) -> list[Conversation]:
    """The conversations of one file. Raises `FileError` for a file that holds none."""
    if path.suffix in (".json", ".jsonl"):
        plain = _plain(path)
        if plain:
            return plain
    return [
        Conversation(
            f"{path.parent.name}/{path.name}#{number}",
            imported.persona,
            str(imported.provider.get("name") or ""),
            [
                (record.session or 1, record.speaker, record.text)
                for _, record in imported.records
                if isinstance(record, TurnCommitted)
            ],
        )
        for number, imported in enumerate(reader_for(path)(path), 1)
    ]


def _plain(path: Path) -> list[Conversation]:
    """Formats that the program does not import: message lists of several shapes."""
    documents = list(_documents(path))
    name = f"{path.parent.name}/{path.name}"
    by_session: dict[str, Conversation] = {}
    for number, document in enumerate(documents, 1):
        if not isinstance(document, Mapping):
            continue
        for key, messages in _message_lists(document, number):
            conversation = by_session.setdefault(key, Conversation(f"{name}#{key}"))
            for message in messages:
                speaker = _SPEAKERS.get(str(message.get("role")))
                text = _text(message)
                if speaker is not None and text:
                    conversation.turns.append((1, speaker, text))
    return list(by_session.values())


def _documents(path: Path) -> Iterator[Any]:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        whole = json.loads(text)
    except ValueError:
        for line in text.splitlines():
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError:
                    return
    else:
        yield from whole if isinstance(whole, list) else [whole]


def _message_lists(
    document: Mapping[str, Any], number: int
) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """The messages of a document, by the name of the conversation that they belong to."""
    if isinstance(document.get("traj"), list):  # tau-bench
        yield f"{document.get('task_id')}.{document.get('trial')}", document["traj"]
    elif "session_id" in document and "message" in document:  # promptfoo
        role, content = document.get("role"), document["message"]
        yield str(document["session_id"]), [{"role": role, "content": content}]
    elif "sessionId" in document and isinstance(document.get("message"), dict):  # Claude Code
        yield str(document["sessionId"]), [document["message"]]
    elif isinstance(document.get("samples"), list) and "eval" in document:  # Inspect
        for sample in document["samples"]:
            yield f"{number}.{sample.get('id')}.{sample.get('epoch')}", sample["messages"]
    elif isinstance(document.get("resourceSpans"), list):  # OpenTelemetry
        yield str(number), list(_spans(document))
    elif set(document) == {"messages"}:  # OpenAI
        yield str(number), document["messages"]


def _spans(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for resource in document["resourceSpans"]:
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                attributes = {
                    each["key"]: each["value"].get("stringValue")
                    for each in span.get("attributes", [])
                }
                for kind in ("gen_ai.prompt", "gen_ai.completion"):
                    if f"{kind}.0.role" in attributes:
                        role, content = (
                            attributes[f"{kind}.0.role"],
                            attributes.get(f"{kind}.0.content"),
                        )
                        yield {"role": role, "content": content}


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
        content = "\n".join(str(part.get("text") or "") for part in parts)
    return content if isinstance(content, str) else ""
