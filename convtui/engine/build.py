"""Puts a conversation together from what a START frame (or a Python caller) says."""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path
from typing import Any

from convtui.engine.prepare import load_for
from convtui.engine.runner import Conversation, Wiring
from convtui.engine.seed import Seed, read_seed
from convtui.errors import ConvtuiError, FileError, UsageError
from convtui.events import Warned
from convtui.models.base import ModelClients
from convtui.own_values import with_own_values
from convtui.protocol import StartSpec
from convtui.providers.loader import Loaded
from convtui.scenario import Scenario


def apply_env_file(spec: StartSpec) -> None:
    """Puts the variables of `--env-file` into this process's environment.

    Raises `FileError` when there is no such file.
    """
    if not spec.env_file:
        return
    from dotenv import dotenv_values

    path = Path(spec.env_file)
    if not path.is_file():
        raise FileError(f"{path}: there is no such file (--env-file)")
    found = dotenv_values(path, interpolate=False)
    os.environ.update({name: value for name, value in found.items() if value is not None})


def describe_provider(spec: StartSpec, models: ModelClients) -> dict[str, Any]:
    """What loading a provider shows of it, without a conversation.

    `{identity, hooks, near_names, termination_signals, stateful, call, construction}`, where `call`
    is `{gets, returns, only_text, notes, useless_reply}` or None. Raises `ProviderLoadError`.
    """
    loaded = load_for(Scenario.from_public(spec.scenario), spec, models)
    return {
        "identity": loaded.identity(),
        "hooks": loaded.hooks,
        "near_names": [list(pair) for pair in loaded.near_names],
        "termination_signals": [str(signal) for signal in loaded.provider.termination_signals],
        "stateful": loaded.provider.stateful,
        "call": _describe_call(loaded),
        "construction": None
        if loaded.construction is None
        else {
            "given": list(loaded.construction.given),
            "left_out": list(loaded.construction.left_out),
        },
    }


def _describe_call(loaded: Loaded) -> dict[str, Any] | None:
    shape = loaded.call
    if shape is None:
        return None
    turns = "all turns as dictionaries" if loaded.kind == "vera" else "the list of all messages"
    return {
        "gets": shape.gets(turns),
        "returns": shape.returns,
        "only_text": shape.only_text,
        "notes": list(shape.notes),
        "useless_reply": shape.useless_reply,
    }


def build(spec: StartSpec, wiring: Wiring) -> Conversation:
    """A conversation, ready to run: both sides loaded, its log open.

    Raises `UsageError`s: an unusable SPEC, a log that cannot be continued, an unwritable folder.
    """
    seed = read_seed(spec.continue_from) if spec.continue_from else None
    recorded = with_own_values(seed.scenario).scenario if seed else {}
    scenario = Scenario.from_public(spec.scenario or recorded)
    if seed is not None and not spec.trust:
        _check_trust(scenario, seed.provider)
        _check_servers(scenario, seed)
    conversation = Conversation(scenario, spec, wiring, seed)
    conversation.caller.injector.take_over(spec.faults)
    _hear_drift(conversation)
    return conversation


def _hear_drift(conversation: Conversation) -> None:
    """A provider that answers from a record says where it is asked something else."""
    from convtui.providers.recorded import RecordedProvider

    provider = conversation.provider
    if not isinstance(provider, RecordedProvider):
        return

    def warn(code: str, message: str, detail: dict[str, Any]) -> None:
        conversation.journal.emit_here(Warned, code=code, message=message, detail=detail)

    provider.warn = warn


def _check_trust(scenario: Scenario, recorded: dict[str, object]) -> None:
    """Continuing a log must not run code that is not what the log was made with, unasked."""
    import hashlib

    file, digest = recorded.get("file"), recorded.get("sha256")
    if not isinstance(file, str) or not isinstance(digest, str):
        return
    if str(scenario.provider.spec) != recorded.get("spec"):
        return  # the user named another provider
    path = Path(file)
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise UsageError(
            f"{path}: this file has changed since the log was written; look at it, then give"
            " --trust to go on with it as it is now"
        )


def _check_servers(scenario: Scenario, seed: Seed) -> None:
    """A log must not start programs by itself: only what a scenario file of the user's names."""
    recorded = _commands(Scenario.from_public(seed.scenario))
    unasked = [command for command in _commands(scenario) if command in recorded]
    if not unasked:
        return
    named: list[list[str]] = []
    if scenario.path is not None:
        with contextlib.suppress(ConvtuiError):
            named = _commands(Scenario.load(scenario.path))
    for command in unasked:
        if command not in named:
            program = f"{shlex.join(command[:-1])} (in {command[-1]})"
            raise UsageError(
                f"{seed.parent.file}: this log names a program to start for its tools: {program};"
                " look at it, then give --trust to start it, or the scenario file that names it"
            )


def _commands(scenario: Scenario) -> list[list[str]]:
    servers = [tool.mcp for tool in scenario.tools if tool.mcp is not None]
    return [[*server.command, server.cwd or ""] for server in servers if server.command]
