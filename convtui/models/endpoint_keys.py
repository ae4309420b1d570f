"""Which key a model call is made with, where its parameters and the environment have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

NO_KEY: Final = "no-key"
"""What an endpoint of the user's own gets in the place of a key: SDKs refuse to send none."""

_OWN_HOSTS: Final = (
    "openai.com", "azure.com", "anthropic.com", "googleapis.com", "openrouter.ai", "cohere.com",
    "cohere.ai", "ai21.com", "replicate.com", "huggingface.co", "amazonaws.com", "voyageai.com",
    "databricks.com",
)  # fmt: skip
"""Hosts of providers of which litellm names none; they and their subdomains insist on a key."""


def stand_in_key(litellm: Any, model: str, params: Mapping[str, Any]) -> str | None:
    """`NO_KEY` for a call to an explicit endpoint that is not the provider's own, without a key.

    Local servers want none, and take any. None where the parameters or the environment have a key,
    and where the provider itself would be called: it insists on one, and says so.
    """
    base = params.get("api_base") or params.get("base_url")
    if not isinstance(base, str) or params.get("api_key"):
        return None
    headers = {**_mapping(params.get("headers")), **_mapping(params.get("extra_headers"))}
    if any(name.lower() == "authorization" for name in headers):
        return None
    try:
        missing = litellm.validate_environment(model).get("missing_keys") or ()
        default = litellm.get_llm_provider(model=model)[3]
        host = urlsplit(base).hostname or ""
        own = urlsplit(default or "").hostname
    except Exception:  # noqa: BLE001 - what is wrong with them is the call's to say
        return None
    if not any(str(name).endswith("_API_KEY") for name in missing):
        return None
    if host == own or any(host == known or host.endswith(f".{known}") for known in _OWN_HOSTS):
        return None
    return NO_KEY


def _mapping(value: Any) -> dict[str, Any]:
    return {str(name): item for name, item in value.items()} if isinstance(value, Mapping) else {}
