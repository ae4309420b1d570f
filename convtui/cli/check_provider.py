"""`convtui check file.py:Bot`: loads a provider in an engine and tells what it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from convtui.cli.common import echo
from convtui.errors import EngineError, Problem
from convtui.text.boundary import visible


def check_provider(spec: str, *, quiet: bool = False) -> tuple[list[Problem], int]:
    """What is wrong with a provider, and the exit code of that; prints its hooks unless `quiet`.

    A name that is nearly a hook's is a problem too: the hook would silently not be called. So is a
    reply that is announced and would be refused. Nothing of it is called but its constructor.
    """
    from convtui.client.engine_client import inspect_provider
    from convtui.protocol import StartSpec
    from convtui.scenario.scenario import merge_flags

    scenario = merge_flags(None, {"provider": spec, "persona": "demo"})
    start = StartSpec(scenario=scenario.for_engine(), out_dir=".")
    try:
        found = asyncio.run(inspect_provider(start))
    except EngineError as error:
        return [Problem(str(error))], 2
    if not quiet:
        _print(found)
    problems = [
        Problem(f"{theirs}() is no hook; did you mean {hook}()?", path=spec)
        for theirs, hook in found["near_names"]
    ]
    useless = (found["call"] or {}).get("useless_reply")
    if useless:
        problems.append(Problem(f"{_answers(found)} {useless}", path=spec))
    return problems, 1 if problems else 0


def _answers(found: dict[str, Any]) -> str:
    """What of it answers, as it is called."""
    identity = found["identity"]
    return f"{identity['name']}()" if identity["kind"] == "function" else "generate_response()"


def _print(found: dict[str, Any]) -> None:
    identity = found["identity"]
    echo(f"{visible(identity['name'])} ({identity['kind']})")
    rows: list[tuple[str, str]] = []
    if identity.get("file"):
        rows.append(("file", visible(identity["file"])))
    rows += [(name, visible(text, lines=False)) for name, text in _made(found["construction"])]
    call = found["call"]
    if call is not None:
        rows.append(("gets", visible(call["gets"], lines=False)))
        rows.append(("returns", call["returns"] or "text, or text and metadata (not annotated)"))
    signals = ", ".join(visible(signal, lines=False) for signal in found["termination_signals"])
    rows.append(("signals", signals or "none declared"))
    rows.append(("stateful", _stateful(found)))
    if call is not None:
        rows += [("note", visible(note, lines=False)) for note in call["notes"]]
    for name, text in rows:
        echo(f"  {name:9}  {text}")
    echo("  hooks")
    for hook, owner in found["hooks"].items():
        echo(f"    {hook:27} {owner}")


def _made(construction: dict[str, list[str]] | None) -> Iterator[tuple[str, str]]:
    """What the constructor was given, where there was one."""
    if construction is None:
        return
    given, left_out = construction["given"], construction["left_out"]
    yield "made with", ", ".join(given) or "no arguments"
    if left_out:
        yield "not given", f"{', '.join(left_out)} (the constructor has no such parameter)"


def _stateful(found: dict[str, Any]) -> str:
    words = {True: "yes", False: "no", None: "unknown"}[found["stateful"]]
    if found["stateful"] and (found["call"] or {}).get("only_text"):
        words += ": it gets the last message only, so it has to remember the others itself"
    return words
