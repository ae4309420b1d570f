"""Names of models, checked without litellm."""

from __future__ import annotations

import sys

import pytest

from convtui.scenario.model_names import known_prefix, model_problem, suggest_model


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("openia/gpt-4o", "openai/gpt-4o"),
        ("OpenAI/gpt-4o", "openai/gpt-4o"),
        ("antropic/claude-x", "anthropic/claude-x"),
        ("google/gemini-pro", "gemini/gemini-pro"),
        ("openrouterr/a/b", "openrouter/a/b"),
        ("openia/", "openai/"),
    ],
)
def test_the_nearest_provider_is_suggested(name: str, meant: str) -> None:
    assert suggest_model(name) == meant
    assert model_problem(name) == (
        f"{name!r} names no provider that litellm knows, did you mean {meant}?"
    )


@pytest.mark.parametrize(
    "name", ["openai/gpt-4o", "hosted_vllm/a", "scx-ai/a", "openrouter/openia/x", "gpt-4o", ""]
)
def test_what_litellm_knows_is_no_problem(name: str) -> None:
    assert suggest_model(name) is None
    assert model_problem(name) is None


def test_a_name_that_is_near_to_none() -> None:
    assert suggest_model("zzz/some-model") is None
    assert "write PROVIDER/NAME, for example openai/some-model" in (
        model_problem("zzz/some-model") or ""
    )


def test_the_parameters_may_settle_it() -> None:
    assert model_problem("zzz/m", {"api_base": "https://api.groq.com/openai/v1"}) is None
    assert model_problem("openia/m", {"custom_llm_provider": "openai"}) is None
    # A slip is one wherever the endpoint is.
    assert model_problem("openia/m", {"api_base": "http://127.0.0.1:1/v1"})


def test_a_newer_litellm_may_know_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not known_prefix("opanai")
    monkeypatch.setattr(
        "convtui.scenario.model_names._installed_names", lambda: 'OPANAI = "opanai"'
    )
    assert suggest_model("opanai/x") is None


def test_litellm_is_read_and_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "litellm", raising=False)
    monkeypatch.setattr("convtui.scenario.model_names.PREFIXES", frozenset())
    assert known_prefix("openai")
    assert known_prefix("scx-ai")
    assert not known_prefix("openia")
    assert "litellm" not in sys.modules
