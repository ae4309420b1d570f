"""Builds a conversation from a `StartSpec`."""

from __future__ import annotations

from typing import Any

from convtui.engine.conversation.prepare import load_provider_of
from convtui.engine.conversation.runner import Conversation
from convtui.engine.conversation.wiring import Wiring
from convtui.engine.resume.state import read_seed
from convtui.models.base import ModelClients
from convtui.protocol import StartSpec
from convtui.providers.loader import Loaded
from convtui.records.models import Warned
from convtui.scenario.scenario import Scenario
from convtui.trust.rules import own_scenario, refuse_unasked


def describe_provider(spec: StartSpec, models: ModelClients) -> dict[str, Any]:
    """Loads a provider without a conversation and describes it.

    Returns `{identity, hooks, near_names, termination_signals, stateful, call, construction}`;
    `call` is `{gets, returns, only_text, notes, useless_reply}` or None. Raises
    `ProviderLoadError`.
    """
    loaded = load_provider_of(Scenario.from_public(spec.scenario), spec, models)
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
    """A conversation that is ready to run: both sides loaded, its log open.

    Raises `UsageError` (an unusable SPEC, a log that cannot be continued, an unwritable folder),
    and `ConsentNeeded`, before anything is loaded, for a log that names code that was neither
    named by the caller nor trusted.
    """
    seed = read_seed(spec.continue_from) if spec.continue_from else None
    recorded = own_scenario(seed.header).scenario if seed else {}
    scenario = Scenario.from_public(spec.scenario or recorded)
    if seed is not None and not spec.trust:
        refuse_unasked(scenario, seed.header, seed.parent.file, vouched=spec.vouched)
    conversation = Conversation(scenario, spec, wiring, seed)
    conversation.caller.injector.take_over(spec.faults)
    _record_drift(conversation)
    return conversation


def _record_drift(conversation: Conversation) -> None:
    """Records the warnings of a replaying provider that is asked for something else than before."""
    from convtui.providers.recorded import RecordedProvider

    provider = conversation.provider
    if not isinstance(provider, RecordedProvider):
        return

    def warn(code: str, message: str, detail: dict[str, Any]) -> None:
        conversation.journal.emit_here(Warned, code=code, message=message, detail=detail)

    provider.warn = warn
