"""What comes before a log: both sides and tools are loaded, unusable combinations refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from convtui.engine.core.state import ConversationState
from convtui.engine.resume.state import ResumeState
from convtui.engine.tools.mcp_tools import McpToolServer
from convtui.engine.tools.tools import Approval, Toolbox
from convtui.engine.turn.budget import still_over, unknown_usage
from convtui.errors import ConversationError, ToolError, UsageError
from convtui.models.base import ModelClients
from convtui.protocol import ContinueFrom, StartSpec
from convtui.providers.base import Provider
from convtui.providers.loader import Loaded, load_function, load_provider
from convtui.providers.settings import ProviderSettings
from convtui.scenario.provider_spec import parse_provider_spec
from convtui.scenario.scenario import Scenario, WarmConfig
from convtui.secrets.redactor import Redactor
from convtui.simulators.base import Casting, UserSimulator
from convtui.simulators.loader import load_simulator
from convtui.warm.store import chosen_context
from convtui.warm.templates import WarmContext


def load_provider_of(scenario: Scenario, spec: StartSpec, models: ModelClients) -> Loaded:
    """A new instance of the provider that a scenario names. Raises `ProviderLoadError`."""
    config = scenario.provider
    settings = ProviderSettings(
        system_prompt=config.system_prompt,
        model=config.model,
        params=config.params,
        options=config.options,
        speed=spec.speed,
        first_message=config.first_message,
        start_prompt=config.start_prompt,
        opening_prompt=_opening_prompt(scenario),
    )
    return load_provider(config.spec, settings, models=models)


def _opening_prompt(scenario: Scenario) -> str | None:
    """The prompt for a persona's generated first turn; None when that turn is fixed."""
    persona = scenario.persona
    script = persona.script
    fixed = (
        persona.opening is not None
        or (isinstance(script, dict) and 1 in script)
        or isinstance(script, list)
    )
    return scenario.provider.start_prompt if persona.kind.model_opens and not fixed else None


def make_simulator(scenario: Scenario, spec: StartSpec, models: ModelClients) -> UserSimulator:
    """A new simulator of the scenario's persona. Raises `UsageError`."""
    try:
        casting = Casting(
            models, scenario.follow_up_prompts, scenario.termination_signal, speed=spec.speed
        )
        return load_simulator(scenario.persona, casting)
    except ConversationError as error:
        raise UsageError(str(error)) from error


def restore_simulator(simulator: UserSimulator, seed: ResumeState) -> None:
    """Restores a responder's own session. Raises `UsageError`."""
    try:
        if seed.responder is not None:
            simulator.restore(seed.responder)
    except ConversationError as error:
        raise UsageError(f"{seed.parent.file}: {error}") from error


def make_toolbox(
    scenario: Scenario, provider: Provider, seed: ResumeState | None, redactor: Redactor
) -> Toolbox:
    """The provider's own tools and those of the scenario. Raises `UsageError`."""
    servers = [McpToolServer(tool.mcp, redactor) for tool in scenario.tools if tool.mcp]
    approval = scenario.approve_tools
    if seed is not None and seed.approve_tools is not None:
        approval = seed.approve_tools
    try:
        return Toolbox(
            [*provider.tools, *_functions(scenario)],
            servers,
            timeout=scenario.limits.tool_timeout,
            max_result=scenario.limits.max_tool_result,
            approval=Approval.parse(approval),
        )
    except ToolError as error:
        raise UsageError(str(error)) from error


def _functions(scenario: Scenario) -> list[Callable[..., Any]]:
    """The functions that the scenario's `tools` name. Raises `UsageError`."""
    return [
        load_function(parse_provider_spec(tool.use))
        for tool in scenario.tools
        if tool.use is not None
    ]


def warm_context_of(scenario: Scenario, seed: ResumeState | None) -> WarmContext | None:
    """The warm context of the provider's sessions: from its template, or from the parent log.

    A continuation keeps its parent's context, whatever has become of the template's file. Raises
    `UsageError` for a scenario that names another one.
    """
    chosen = scenario.warm
    if seed is None or (seed.warm is None and not seed.prepared):
        if chosen is None:
            return None
        return chosen_context(chosen)
    recorded = seed.scenario.get("warm")
    if chosen is not None and seed.warm is None and recorded:
        raise UsageError(
            f"{seed.parent.file}: this log ended before its warm context was written;"
            " go on with the log before it"
        )
    if chosen is not None and not _same_warm(chosen, recorded):
        raise UsageError(
            f"{seed.parent.file}: a conversation keeps the warm context it began with"
            f" ({seed.warm.template if seed.warm else 'none'}); leave out warm {chosen.use}"
        )
    return seed.warm


def _same_warm(chosen: WarmConfig, recorded: Any) -> bool:
    use = recorded.get("use") if isinstance(recorded, dict) else recorded
    return use == chosen.use


async def start_warnings(
    scenario: Scenario,
    loaded: Loaded,
    *,
    models: ModelClients,
    warm: WarmContext | None,
    toolbox: Toolbox,
) -> AsyncIterator[tuple[str, str]]:
    """Code and message of each warning about both sides, given before the first session."""
    for near, hook in loaded.near_names:
        yield "near_name", f"{near}() is no hook; did you mean {hook}()?"
    for doubt in loaded.doubts():
        yield "call_shape", doubt
    if warm is not None:
        for warning in _warm_warnings(warm, loaded.provider, toolbox):
            yield warning
    persona = scenario.persona
    model = persona.asked_model
    user = (f"{persona.simulator} persona", model) if model is not None else None
    for sentence in await unknown_usage(
        scenario.budget, provider=loaded, user=user, priced=models.priced
    ):
        yield "budget_unknown", sentence


def _warm_warnings(
    warm: WarmContext, provider: Provider, toolbox: Toolbox
) -> Iterator[tuple[str, str]]:
    if not provider.takes_messages:
        yield (
            "warm_unseen",
            f"{provider.name} gets the turns of the conversation, not its messages: it will not see"
            f" the warm context {warm.template!r}",
        )
        return
    offered = {str(tool["function"]["name"]) for tool in toolbox.schemas}
    unknown = [name for name in warm.tools if name not in offered]
    if unknown:
        yield (
            "warm_tools",
            f"the warm context {warm.template!r} shows calls of tools that the provider is not"
            f" offered: {', '.join(unknown)}; some models refuse that, others call them",
        )


def check_continuation(
    state: ConversationState, seed: ResumeState, parent: ContinueFrom | None
) -> None:
    """Raises `UsageError` for a continuation that would end at once or has nothing to do."""
    if parent is not None and parent.kind == "compress":
        _check_compressible(state, seed)
    if parent is not None and parent.stop:
        return
    session = state.current
    if seed.reopened in ("max_turns", "word_limit") and session is not None:
        cap = state.caps(session, session.numbers)
        if cap is not None:
            flag = "--max-turns" if cap.kind == "max_turns" else "--max-total-words"
            raise UsageError(
                f"{seed.parent.file}: this conversation ended because of its limit"
                f" ({cap.reason}); give a higher {flag} to go on"
            )
    if seed.reopened == "budget":
        limit = still_over(state.scenario.budget, seed.inherited, seed.budget)
        if limit is not None:
            scope = "" if limit.scope == "conversation" else f"{limit.scope}."
            raise UsageError(
                f"{seed.parent.file}: this conversation ended because of its budget; raise it"
                f" (--set budget.{scope}{limit.what}=N) to go on"
            )


def _check_compressible(state: ConversationState, seed: ResumeState) -> None:
    session = state.current
    if session is None or not session.turns:
        raise UsageError(
            f"{seed.parent.file}: there is nothing to compress: no session is open in which"
            " something was said"
        )
