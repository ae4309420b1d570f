"""What a key of a scenario would do if it were acted upon, in words and without any secret."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from convtui.errors import ProviderLoadError
from convtui.scenario.provider_spec import ProviderSpec, parse_provider_spec
from convtui.scenario.scenario import Scenario
from convtui.secrets.names import is_secret_name
from convtui.secrets.redactor import redact
from convtui.secrets.shapes import REDACTED
from convtui.text.boundary import visible_line

_KEY_VARIABLES: Final[Mapping[str, str]] = {
    "azure_ai": "AZURE_AI_API_KEY",
    "bedrock": "the AWS credentials",
    "sagemaker": "the AWS credentials",
    "vertex_ai": "the Google credentials",
    "together_ai": "TOGETHERAI_API_KEY",
    "fireworks_ai": "FIREWORKS_AI_API_KEY",
    "huggingface": "HUGGINGFACE_API_KEY",
    "ollama": "",
    "ollama_chat": "",
}
"""What is sent to a model's endpoint, where it is not PROVIDER_API_KEY."""
_FILES: Final = frozenset({
    "persona_template", "persona_context_template", "persona_reminder", "warm.use",
})  # fmt: skip
_LEADS: Final = re.compile(r"\w+://|[/~.\\]|[A-Za-z]:\\")
_LIMIT: Final = 400


def what_it_would_do(field: str, value: Any, scenario: Scenario) -> str:
    """One line about what the key `field` of `scenario` names; see `trust.Item`."""
    return visible_line(redact(_words(field, value, scenario)), _LIMIT)


def _words(field: str, value: Any, scenario: Scenario) -> str:
    side, _, name = field.partition(".params.")
    if field == "provider.use":
        return _of_spec(value, "the provider", _host(scenario, "provider"))
    if field == "tools[]":
        return _of_tool(value)
    if field.endswith(".model"):
        return _asks(value, f"the {field.partition('.')[0]}", _host(scenario, field))
    if name:
        which = "persona" if side == "persona" else "provider"
        if name in ("api_base", "base_url"):
            model = _model_of(scenario, which)
            key = _key_of(model) if model else ""
            return f"send the {which}'s calls to {value}{f', with {key}' if key else ''}"
        # A value is shown where it says where something goes or lies; any other may be secret.
        leads = isinstance(value, str) and _LEADS.match(value) and not is_secret_name(name)
        shown = f" ({value})" if leads else ""
        return f"pass the parameter {name}{shown} to the {which}'s model"
    if field == "provider.options":
        return f"pass options to the provider's class: {', '.join(map(str, value))}"
    if field == "log_values":
        return f"write these values into logs as they are: {', '.join(map(str, value))}"
    if field in _FILES:
        return f"read the file {value}"
    return f"use {field}: {value}"


def _of_spec(use: str, what: str, host: str) -> str:
    spec = spec_of(use)
    if spec is None:
        return f"load {use}, {what}"
    if spec.kind == "litellm":
        return _asks(spec.target, what, host)
    if spec.kind == "file":
        return f"run the code of {spec.target} ({spec.name}), {what}"
    if spec.kind == "recorded":
        return f"read the log {spec.target}, {what}"
    kind = "installed provider" if spec.kind == "entry_point" else "Python module"
    return f"run the code of the {kind} {spec}, {what}"


def _of_tool(tool: Any) -> str:
    if not isinstance(tool, dict):
        return f"use a tool: {tool}"
    server = tool.get("mcp")
    if not isinstance(server, dict):
        return _of_spec(str(tool.get("use")), "a tool", "")
    if server.get("url"):
        with_ = _given(server.get("headers"))
        return f"call the tool server {server['url']}" + (
            f", with the headers {with_}" if with_ else ""
        )
    env = _given(server.get("env"))
    command = shlex.join(map(str, server.get("command") or ()))
    where = server.get("cwd") or Path.cwd()
    return f"start the program {command} (in {where})" + (
        f", with the variables {env}" if env else ""
    )


def _given(values: Any) -> str:
    """Names that are passed on with a value; redacted ones have none."""
    named = values.items() if isinstance(values, dict) else ()
    return ", ".join(str(name) for name, value in named if REDACTED not in str(value))


def _asks(model: str, what: str, host: str) -> str:
    key = _key_of(model)
    paid = f", with {key}" if key else ""
    return f"ask the model {model}, {what}, at {host or 'its own host'}{paid}"


def _model_of(scenario: Scenario, side: str) -> str:
    if side == "persona":
        return scenario.persona.asked_model or scenario.persona.model or ""
    spec = spec_of(scenario.provider.use)
    return spec.target if spec is not None and spec.kind == "litellm" else ""


def _host(scenario: Scenario, field: str) -> str:
    side = scenario.persona if field.startswith("persona") else scenario.provider
    return str(side.params.get("api_base") or side.params.get("base_url") or "")


def _key_of(model: str) -> str:
    """The variable whose value is sent to a model's endpoint; empty where there is none."""
    provider, slash, _ = model.partition("/")
    if not slash:
        return ""
    return _KEY_VARIABLES.get(provider, f"{provider.upper()}_API_KEY")


def spec_of(use: Any) -> ProviderSpec | None:
    """A parsed SPEC; None for an invalid one."""
    try:
        return parse_provider_spec(str(use))
    except ProviderLoadError:
        return None
