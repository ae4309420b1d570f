"""Whether litellm knows the provider that a model's name begins with, without importing litellm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from convtui.errors import nearest

_PREFIXES: Final = """
a2a a2a_agent abliteration ai21 ai21_chat aihubmix aiml aiohttp_openai amazon_nova anthropic
anthropic_text apertis assemblyai auto_router aws_polly aws_textract azure azure_ai azure_speech
azure_text baseten bedrock bedrock_mantle black_forest_labs bytez cerebras charity_engine
chatgpt chutes clarifai cloudflare codestral cognition cohere cohere_chat cometapi compactifai
cortecs crusoe cursor custom custom_openai darkbloom dashscope databricks datarobot deepgram
deepinfra deepseek docker_model_runner dotprompt edenai elevenlabs empiriolabs empower fal_ai
featherless_ai fireworks_ai friendliai galadriel gdc gemini gigachat github github_copilot gmi
gradient_ai groq helicone heroku hosted_vllm huggingface humanloop hyperbolic inception infinity
jina_ai lambda_ai langflow langfuse langgraph lemonade libertai litellm_agent litellm_proxy
llamafile llamagate lm_studio manus maritalk meta meta_llama milvus minimax mistral modelscope
mongodb moonshot morph nadir nano-gpt nebius neosantara nlp_cloud novita nscale nvidia_nim
nvidia_riva oci ollama ollama_chat oobabooga openai openai_like openrouter ovhcloud parasail
perplexity petals pg_vector pinstripes poe predibase prism publicai qwen_ai_platform qwencloud
ragflow recraft reducto replicate runwayml s3_vectors sagemaker sagemaker_chat sagemaker_nova
sail sambanova sap sarvam scaleway scx-ai snowflake soniox stability strands_decider synthetic
tencent tensormesh text-completion-codestral text-completion-inception text-completion-openai
together_ai topaz transcribe triton typesafe v0 valkey veniceai vercel_ai_gateway vertex_ai
vertex_ai_beta vllm volcengine voyage wandb watsonx watsonx_text xai xiaomi_mimo xinference zai
"""
PREFIXES: Final = frozenset(_PREFIXES.split())
"""What litellm takes before the first slash of a model's name."""

_ALSO_CALLED: Final = {
    "claude": "anthropic",
    "google": "gemini",
    "gpt": "openai",
    "grok": "xai",
    "together": "together_ai",
    "x-ai": "xai",
}
"""What people call some of them."""
# First those that are meant most often: a slip of the keyboard is seldom about a rare one.
_COMMON: Final = ("openai", "anthropic", "gemini", "azure", "ollama", "mistral", "openrouter",
                  "groq", "deepseek", "bedrock", "vertex_ai", "together_ai")  # fmt: skip


def suggest_model(name: str) -> str | None:
    """`name` with the prefix that was meant (`openai/gpt-4o` for `openia/gpt-4o`).

    None when litellm knows its prefix, when it has none, and when no known prefix is near.
    """
    prefix, slash, rest = name.strip().partition("/")
    if not slash or known_prefix(prefix):
        return None
    folded = prefix.strip().lower()
    meant = folded if folded in PREFIXES else _ALSO_CALLED.get(folded)
    meant = meant or nearest(folded, _COMMON) or nearest(folded, PREFIXES)
    return f"{meant}/{rest}" if meant else None


def model_problem(name: str, params: Mapping[str, Any] | None = None) -> str | None:
    """Why litellm will not take a model's name, and what to write instead; None if it may.

    `params` may settle the provider in another way than by the name.
    """
    prefix, slash, rest = name.strip().partition("/")
    params = params or {}
    if not slash or params.get("custom_llm_provider") or known_prefix(prefix):
        return None
    if suggest_model(name) is None and (params.get("api_base") or ":" in rest):
        # litellm knows hosts of some endpoints, and models of Replicate by their hash.
        return None
    return no_provider(name)


def no_provider(name: str) -> str:
    """The sentence for a model's name whose provider litellm does not know."""
    problem = f"{name!r} names no provider that litellm knows"
    meant = suggest_model(name)
    if meant is not None:
        return f"{problem}, did you mean {meant}?"
    model = name.rsplit("/", 1)[-1] or "NAME"
    return (
        f"{problem}: write PROVIDER/NAME, for example openai/{model} (any OpenAI-compatible"
        " endpoint, with api_base)"
    )


def known_prefix(prefix: str) -> bool:
    """Whether litellm takes `prefix` before the slash: by the list here, else by the text of the
    litellm that is installed, which may be newer."""
    return prefix in PREFIXES or f'"{prefix}"' in _installed_names()


def _installed_names() -> str:
    """The files of litellm that name its providers, as text; empty without them."""
    from importlib.util import find_spec

    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return ""
    package = Path(spec.origin).parent
    try:
        names = (package / "types/utils.py").read_text("utf-8").partition("class LlmProviders")[2]
        return names + (package / "llms/openai_like/providers.json").read_text("utf-8")
    except (OSError, ValueError):
        return ""
