"""Runnable snippets that repeat a recorded request, with the key as an environment variable."""

from __future__ import annotations

import json
import pprint
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from convtui.secrets.masking import masked_places
from convtui.secrets.names import is_secret_name
from convtui.secrets.redactor import Redactor
from convtui.secrets.shapes import REDACTED
from convtui.text.boundary import percent_encoded

Kind = Literal["python", "curl"]
_KEYS: Final[Mapping[str, str]] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "groq": "GROQ_API_KEY",
}
_BASES: Final[Mapping[str, str]] = {
    "openai": "https://api.openai.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
}
_NOT_SENT: Final = ("api_base", "base_url", "stream", "stream_options", "timeout", "num_retries")


def repro(kind: Kind, request: Mapping[str, Any], messages: Sequence[Any]) -> str:
    """A snippet that sends `messages` with the parameters of an `llm.request` record.

    `python` uses litellm, `curl` an OpenAI-compatible endpoint: the recorded `api_base`, else the
    vendor's. The key comes from the environment. Values missing from the log are left out and named
    in a comment.
    """
    redactor = Redactor.of_process()
    model = str(request.get("model") or "openai/gpt-4o-mini")
    given = request.get("params")
    params: dict[str, Any] = redactor.data(dict(given) if isinstance(given, Mapping) else {})
    safe_messages = redactor.data(list(messages))
    base = params.get("api_base") or params.get("base_url")
    extra_params = {str(name): value for name, value in params.items() if name not in _NOT_SENT}
    kept = {name: value for name, value in _known(extra_params).items() if not is_secret_name(name)}
    masked = [name for name in masked_places(extra_params) if not is_secret_name(name)]
    # Names are untrusted: they must not end the comment.
    note = ascii(", ".join(masked))[1:-1]
    head = f"# left out, because the log does not have it:  {note}\n" if masked else ""
    vendor, _, name = model.partition("/")
    key = _KEYS.get(vendor, "OPENAI_API_KEY")
    if kind == "python":
        return head + _python(model, key, kept, safe_messages, base)
    url = str(base or _BASES.get(vendor, _BASES["openai"])).rstrip("/") + "/chat/completions"
    body = {"model": name or vendor, "messages": safe_messages, **kept}
    # The only ASCII control character that JSON does not escape.
    payload = shlex.quote(json.dumps(body, ensure_ascii=True, indent=2).replace("\x7f", "\\u007f"))
    return (
        f"{head}curl -sS {shlex.quote(percent_encoded(url))} \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f'  -H "Authorization: Bearer ${key}" \\\n'
        f"  -d {payload}\n"
    )


def _known(value: Any) -> Any:
    """Parameters without those whose value the log does not have."""
    if isinstance(value, dict):
        kept = {name: _known(item) for name, item in value.items() if item != REDACTED}
        return {name: item for name, item in kept.items() if item != {} or value[name] == {}}
    if isinstance(value, list):
        return [_known(item) for item in value if item != REDACTED]
    return value


def _python(
    model: str, key: str, params: Mapping[str, Any], messages: Sequence[Any], base: Any
) -> str:
    lines = [
        "import os",
        "",
        "import litellm",
        "",
        f"messages = {_literal(list(messages))}",
        "",
        "response = litellm.completion(",
        f"    model={model!a},",
        "    messages=messages,",
        f"    api_key=os.environ[{key!r}],",
    ]
    if base:
        lines.append(f"    api_base={percent_encoded(str(base))!a},")
    if params:
        lines.append(f"    **{_literal(dict(params))},")
    lines += [")", "print(response.choices[0].message.content)", ""]
    return "\n".join(lines)


def _literal(value: Any) -> str:
    """A value as Python source that no text in it can escape from."""
    text = pprint.pformat(value, width=88, sort_dicts=False)
    return text if text.isascii() else ascii(value)
