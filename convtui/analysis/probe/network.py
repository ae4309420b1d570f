"""Probes of the network side: a loopback proxy in front of the endpoint makes the faults."""

from __future__ import annotations

import os
from typing import Final, get_args

from convtui.analysis.probe.conversation import ProbeConversation, ProbeRun, address
from convtui.analysis.probe.proxy import SLOW_BY, FaultProxy, NetFault
from convtui.analysis.probe.report import ProbeSession
from convtui.analysis.probe.wording import QUESTION
from convtui.errors import UsageError
from convtui.text_checks.error_texts import error_in

_BASES: Final = ("OPENAI_BASE_URL", "OPENAI_API_BASE")


def api_base(bench: ProbeSession) -> str | None:
    """The endpoint that the provider is told to use; None where that cannot be set."""
    config = bench.subject.scenario.get("provider") or {}
    found = (config.get("params") or {}).get("api_base")
    if isinstance(found, str) and found:
        return found
    identity = bench.report.provider.get("identity") or {}
    if identity.get("kind") == "litellm" and str(identity.get("model", "")).startswith("openai/"):
        return next((os.environ[name] for name in _BASES if os.environ.get(name)), None)
    return None


async def network(bench: ProbeSession) -> None:
    """One conversation for each fault; the first request gets it, those after it go through."""
    faults: tuple[NetFault, ...] = get_args(NetFault)
    wanted = [fault for fault in faults if bench.wants(f"net_{fault}")]
    if not wanted:
        return
    base = api_base(bench)
    for fault in wanted:
        name = f"net_{fault}"
        if base is None:
            says = "no api_base to put a proxy in front of: --api-base URL"
            bench.add(name, "n/a", says)
            continue
        bench.progress(name)
        try:
            proxy = FaultProxy(base, fault)
        except UsageError as error:
            bench.add(name, "n/a", str(error))
            continue
        async with proxy:
            config = dict(bench.subject.scenario.get("provider") or {})
            config["params"] = {**(config.get("params") or {}), "api_base": proxy.url}
            talk = ProbeConversation(bench.subject, name, [QUESTION], changes={"provider": config})
            told = bench.keep(await talk.run())
        _judge(bench, name, fault, told, proxy)


def _judge(bench: ProbeSession, name: str, fault: str, told: ProbeRun, proxy: FaultProxy) -> None:
    if not proxy.faults:
        bench.add(name, "n/a", "it asked nothing of its api_base", told)
        return
    retries = told.of("llm.retry", side="provider")
    failed = told.of("llm.failed", side="provider")
    said = told.said[-1] if told.said else None
    text = str(said.get("text", "")) if said is not None else ""
    looks = error_in(text)
    if told.hung or told.error is not None:
        bench.failed(name, told)
    elif looks is not None:
        says = f"the error came out as its reply: {looks!r}"
        bench.add(name, "fail", says, told, address(said))
    elif failed:
        _failed(bench, name, fault, told)
    elif bench.failed(name, told):
        pass
    elif not text.strip():
        bench.add(name, "fail", "it said nothing and told no error", told, address(said))
    elif fault == "slow":
        says = f"it waited {SLOW_BY:g} s for the first byte, and answered"
        bench.add(name, "pass", says, told, address(said))
    elif proxy.requests < 2:
        says = "it replied with what had arrived, as if that were all"
        bench.add(name, "fail", says, told, address(said))
    elif retries:
        kind = (retries[0].get("error") or {}).get("type")
        delay = float(retries[0].get("delay") or 0)
        says = f"told as {kind}, tried again after {delay:.2g} s, answered"
        bench.add(name, "pass", says, told, address(said))
    else:
        says = "it tried again by itself, unrecorded, and answered"
        bench.add(name, "pass", says, told, address(said))


def _failed(bench: ProbeSession, name: str, fault: str, told: ProbeRun) -> None:
    failed = told.of("llm.failed", side="provider")[0]
    error = failed.get("error") or {}
    kind, message = error.get("type"), error.get("message")
    identity = bench.report.provider.get("identity") or {}
    if fault == "malformed" and kind != "ProviderError":
        says = f"told as {kind}: {message}"
        bench.add(name, "pass", says, told, address(failed))
    elif identity.get("kind") == "litellm":
        says = f"the call failed for good: {kind}: {message}"
        bench.add(name, "fail", says, told, address(failed), detail=error.get("frames", ()))
    else:
        says = (
            f"told as {kind} and not tried again: {message} (raise TransientProviderError, or use"
            " self.models)"
        )
        bench.add(name, "warn", says, told, address(failed), detail=error.get("frames", ()))
