"""Logs with tool calls, for tests of profiles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from convtui.analysis.profile.profile import Profile, combine, profile_run
from convtui.log.reader import open_log
from convtui.records.models import Record, ToolCalled, ToolReturned
from tests.builders.logs import conversation, ending, header, session, turn, write_log

OK: dict[str, Any] = {"output": "a.py", "exit_code": 0, "error": None}
BAD: dict[str, Any] = {"output": "boom", "exit_code": 1, "error": None}


def call(id_: str, name: str = "terminal") -> Record:
    """A call that begins; `result()` or nobody ends it."""
    return ToolCalled(id=id_, name=name, arguments={"command": id_})


def result(id_: str, body: Any, name: str = "terminal", *, ok: bool = True) -> Record:
    """What a call gave, after a quarter of a second."""
    return ToolReturned(id=id_, name=name, ok=ok, result=body, duration=0.25)


def tool_turns(outcomes: Sequence[bool | None], *, names: Sequence[str] = ()) -> list[list[Record]]:
    """A question and an answer with one call for each outcome; None has no result."""
    turns: list[list[Record]] = []
    for place, good in enumerate(outcomes):
        name = names[place] if names else "terminal"
        more = [call(f"c{place}", name)]
        if good is not None:
            more.append(result(f"c{place}", OK if good else BAD, name))
        number = 2 * place + 1
        turns.append(turn(number, "persona", f"Task {place}"))
        usage = {"prompt_tokens": 10 * place, "completion_tokens": 1, "cost": 0.01}
        turns.append(turn(number + 1, "provider", "Done.", more=more, usage=usage))
    return turns


def tool_log(
    path: Path, outcomes: Sequence[bool | None], *, names: Sequence[str] = (), **head: Any
) -> Path:
    """A log in which tool calls went like that."""
    end = ending("completed", "provider", 2 * len(outcomes))
    records = conversation(session(1, "work", tool_turns(outcomes, names=names), end), end=end)
    records[0] = header(id=path.stem, **head)
    return write_log(path, records)


def profile_logs(paths: Iterable[Path]) -> Profile:
    """The profile of logs together."""
    runs = []
    for path in paths:
        with open_log(path) as log:
            runs.append(profile_run(log))
    return combine(runs)
