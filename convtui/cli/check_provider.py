"""`convtui check file.py:Bot`: loads a provider in an engine and describes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from convtui.cli.common import echo
from convtui.errors import EngineError, Problem
from convtui.text.boundary import visible


def check_provider(
    spec: str,
    *,
    set_: Sequence[str] = (),
    python: str | None = None,
    env_file: str | None = None,
    quiet: bool = False,
) -> tuple[list[Problem], int]:
    """A provider's problems, and the exit code; prints its hooks unless `quiet`.

    It is loaded as a conversation would load it: by the interpreter and with the variables of the
    settings, unless others are named, and with the scenario's keys in `set_`. Raises `UsageError`.

    A name that is almost a hook's is a problem, too: it would silently never be called. So is an
    annotated reply that would be refused. Only the provider's constructor is called.
    """
    from convtui.cli.run_settings import settings_of
    from convtui.client.engine_client import inspect_provider
    from convtui.files.env import check_env_file
    from convtui.protocol import StartSpec
    from convtui.scenario.merge import merge_flags

    config = settings_of({"python": python, "env_file": env_file})
    check_env_file(config.env_file)
    scenario = merge_flags(None, {"provider": spec, "persona": "demo", "set": list(set_)})
    start = StartSpec(scenario=scenario.for_engine(), out_dir=".", env_file=config.env_file)
    try:
        about = asyncio.run(inspect_provider(start, python=config.python))
    except EngineError as error:
        return [Problem(str(error))], 2
    if not quiet:
        _print(about)
    problems = [
        Problem(f"{theirs}() is no hook; did you mean {hook}()?", path=spec)
        for theirs, hook in about["near_names"]
    ]
    useless = (about["call"] or {}).get("useless_reply")
    if useless:
        problems.append(Problem(f"{_answers(about)} {useless}", path=spec))
    return problems, 1 if problems else 0


def _answers(about: dict[str, Any]) -> str:
    """The name of the function that answers, with parentheses."""
    identity = about["identity"]
    return f"{identity['name']}()" if identity["kind"] == "function" else "generate_response()"


def _print(about: dict[str, Any]) -> None:
    identity = about["identity"]
    echo(f"{visible(identity['name'])} ({identity['kind']})")
    rows: list[tuple[str, str]] = []
    if identity.get("file"):
        rows.append(("file", visible(identity["file"])))
    rows += [(name, visible(text, lines=False)) for name, text in _made(about["construction"])]
    call = about["call"]
    if call is not None:
        rows.append(("gets", visible(call["gets"], lines=False)))
        rows.append(("returns", call["returns"] or "text, or text and metadata (not annotated)"))
    signals = ", ".join(visible(signal, lines=False) for signal in about["termination_signals"])
    rows.append(("signals", signals or "none declared"))
    rows.append(("stateful", _stateful(about)))
    if call is not None:
        rows += [("note", visible(note, lines=False)) for note in call["notes"]]
    for name, text in rows:
        echo(f"  {name:9}  {text}")
    echo("  hooks")
    for hook, owner in about["hooks"].items():
        echo(f"    {hook:27} {owner}")


def _made(construction: dict[str, list[str]] | None) -> Iterator[tuple[str, str]]:
    """Rows about the constructor's arguments, if there was one."""
    if construction is None:
        return
    given, left_out = construction["given"], construction["left_out"]
    yield "made with", ", ".join(given) or "no arguments"
    if left_out:
        yield "not given", f"{', '.join(left_out)} (the constructor has no such parameter)"


def _stateful(about: dict[str, Any]) -> str:
    text = {True: "yes", False: "no", None: "unknown"}[about["stateful"]]
    if about["stateful"] and (about["call"] or {}).get("only_text"):
        text += ": it gets the last message only, so it has to remember the others itself"
    return text
