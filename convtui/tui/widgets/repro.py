"""Runnable snippets that send a recorded request again, the key as an environment variable."""

from __future__ import annotations

import json
import pprint
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from convtui.text import is_secret_name, percent_encoded, redact

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
_OURS: Final = ("api_base", "base_url", "stream", "stream_options", "timeout", "num_retries")


def repro(kind: Kind, request: Mapping[str, Any], messages: Sequence[Any]) -> str:
    """A snippet that sends `messages` with the parameters of an `llm.request` record.

    `python` uses litellm, `curl` an OpenAI-compatible endpoint: the recorded `api_base`, else the
    vendor's. The key is read from the environment; values that look like secrets are left out.
    """
    model = str(request.get("model") or "openai/gpt-4o-mini")
    given = request.get("params")
    params = dict(given) if isinstance(given, Mapping) else {}
    base = params.get("api_base") or params.get("base_url")
    kept = {
        str(key): value
        for key, value in params.items()
        if key not in _OURS and not is_secret_name(str(key))
    }
    vendor, _, name = model.partition("/")
    key = _KEYS.get(vendor, "OPENAI_API_KEY")
    if kind == "python":
        return _python(model, key, kept, messages, base)
    url = str(base or _BASES.get(vendor, _BASES["openai"])).rstrip("/") + "/chat/completions"
    body = {"model": name or vendor, "messages": list(messages), **kept}
    # Of what is ASCII, JSON leaves only this one as it is.
    payload = shlex.quote(json.dumps(body, ensure_ascii=True, indent=2).replace("\x7f", "\\u007f"))
    return (
        f"curl -sS {shlex.quote(percent_encoded(redact(url)))} \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f'  -H "Authorization: Bearer ${key}" \\\n'
        f"  -d {redact(payload)}\n"
    )


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
        lines.append(f"    api_base={percent_encoded(redact(str(base)))!a},")
    if params:
        lines.append(f"    **{_literal(dict(params))},")
    lines += [")", "print(response.choices[0].message.content)", ""]
    return "\n".join(lines)


def _literal(value: Any) -> str:
    """A value as Python source that no text in it can break out of."""
    text = pprint.pformat(value, width=88, sort_dicts=False)
    return redact(text if text.isascii() else ascii(value))
