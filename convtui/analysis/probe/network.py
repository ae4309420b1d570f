"""Probes of network faults, made by a loopback proxy in front of the endpoint."""

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


def api_base(session: ProbeSession) -> str | None:
    """The endpoint that the provider is configured to use; None where that cannot be set."""
    config = session.subject.scenario.get("provider") or {}
    base = (config.get("params") or {}).get("api_base")
    if isinstance(base, str) and base:
        return base
    identity = session.report.provider.get("identity") or {}
    if identity.get("kind") == "litellm" and str(identity.get("model", "")).startswith("openai/"):
        return next((os.environ[name] for name in _BASES if os.environ.get(name)), None)
    return None


async def network(session: ProbeSession) -> None:
    """Holds one conversation per fault; the first request gets the fault, later ones pass."""
    faults: tuple[NetFault, ...] = get_args(NetFault)
    wanted = [fault for fault in faults if session.wants(f"net_{fault}")]
    if not wanted:
        return
    base = api_base(session)
    for fault in wanted:
        name = f"net_{fault}"
        if base is None:
            says = "no api_base to put a proxy in front of: --api-base URL"
            session.add(name, "n/a", says)
            continue
        session.progress(name)
        try:
            proxy = FaultProxy(base, fault)
        except UsageError as error:
            session.add(name, "n/a", str(error))
            continue
        async with proxy:
            config = dict(session.subject.scenario.get("provider") or {})
            config["params"] = {**(config.get("params") or {}), "api_base": proxy.url}
            conversation = ProbeConversation(
                session.subject, name, [QUESTION], changes={"provider": config}
            )
            run = session.keep(await conversation.run())
        _judge(session, name, fault, run, proxy)


def _judge(session: ProbeSession, name: str, fault: str, run: ProbeRun, proxy: FaultProxy) -> None:
    if not proxy.faults:
        session.add(name, "n/a", "it asked nothing of its api_base", run)
        return
    retries = run.of("llm.retry", side="provider")
    failed = run.of("llm.failed", side="provider")
    reply = run.replies[-1] if run.replies else None
    text = str(reply.get("text", "")) if reply is not None else ""
    error_text = error_in(text)
    if run.hung or run.error is not None:
        session.failed(name, run)
    elif error_text is not None:
        says = f"the error came out as its reply: {error_text!r}"
        session.add(name, "fail", says, run, address(reply))
    elif failed:
        _failed(session, name, fault, run)
    elif session.failed(name, run):
        pass
    elif not text.strip():
        session.add(name, "fail", "it said nothing and told no error", run, address(reply))
    elif fault == "slow":
        says = f"it waited {SLOW_BY:g} s for the first byte, and answered"
        session.add(name, "pass", says, run, address(reply))
    elif proxy.requests < 2:
        says = "it replied with what had arrived, as if that were all"
        session.add(name, "fail", says, run, address(reply))
    elif retries:
        kind = (retries[0].get("error") or {}).get("type")
        delay = float(retries[0].get("delay") or 0)
        says = f"told as {kind}, tried again after {delay:.2g} s, answered"
        session.add(name, "pass", says, run, address(reply))
    else:
        says = "it tried again by itself, unrecorded, and answered"
        session.add(name, "pass", says, run, address(reply))


def _failed(session: ProbeSession, name: str, fault: str, run: ProbeRun) -> None:
    failed = run.of("llm.failed", side="provider")[0]
    error = failed.get("error") or {}
    kind, message = error.get("type"), error.get("message")
    identity = session.report.provider.get("identity") or {}
    if fault == "malformed" and kind != "ProviderError":
        says = f"told as {kind}: {message}"
        session.add(name, "pass", says, run, address(failed))
    elif identity.get("kind") == "litellm":
        says = f"the call failed for good: {kind}: {message}"
        session.add(name, "fail", says, run, address(failed), detail=error.get("frames", ()))
    else:
        says = (
            f"told as {kind} and not tried again: {message} (raise TransientProviderError, or use"
            " self.models)"
        )
        session.add(name, "warn", says, run, address(failed), detail=error.get("frames", ()))
