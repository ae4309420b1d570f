"""The engine process as a preview: what a provider's hooks make of one recorded reply.

The same hooks, the same pipeline and the same rules as a rehook, for one turn that is told whole,
changed or not; it may be one that is neither said nor dropped yet.
"""

from __future__ import annotations

from typing import Any

from convtui.engine.conversation.prepare import load_for
from convtui.engine.core.output import OutputCapture
from convtui.engine.core.sides import lifecycle
from convtui.engine.process.pipe import FrameSender
from convtui.engine.process.rehook_process import described, raise_failure
from convtui.engine.rehook.replayed_hooks import RecordedHooks, ReplayedHooks, drive, rules_of
from convtui.errors import UsageError
from convtui.log.replies import RecordedReplies, RecordedReply, collect
from convtui.models.base import ModelClients
from convtui.protocol import Kind, PreviewSpec, StartSpec, describe_error
from convtui.providers.base import Provider
from convtui.scenario.scenario import Scenario


async def preview(
    start: StartSpec,
    spec: PreviewSpec,
    models: ModelClients,
    sender: FrameSender,
    capture: OutputCapture,
) -> int:
    """Sends `LOADED`, then one `REHOOKED` as `made_of()` gives it; the exit status.

    Raises `ProviderLoadError` when the provider cannot be loaded, `HookError` when its `setup()`
    fails, `UsageError` for records without a raw reply.
    """
    loaded = load_for(Scenario.from_public(start.scenario), start, models)
    if spec.setup:
        raise_failure(await lifecycle("setup", loaded.provider.setup))
    capture.flush()
    sender.send(Kind.LOADED, **described(loaded))
    sender.send(Kind.REHOOKED, **made_of(spec, loaded.provider))
    capture.flush()
    if spec.setup:
        await lifecycle("cleanup", loaded.provider.cleanup)
    return 0


def made_of(spec: PreviewSpec, provider: Provider) -> dict[str, Any]:
    """What the hooks made of a turn's last reply then, and what `provider`'s make of it now.

    `{raw, before, after, error, failed}`: `before` and `after` as `Result.as_dict()` gives them,
    where None stands for what the log does not tell (a stage that had not run); `after` is None
    where a hook fails now, which `error` tells, and `failed` says that one had failed then. Raises
    `UsageError` for records without a raw reply.
    """
    found = collect(spec.records)
    reply = last_reply(found)
    if reply is None:
        raise UsageError("there is no raw reply in this turn")
    rules = rules_of(found)(reply)
    hooks = ReplayedHooks(provider)
    hooks.recorded = reply.metadata
    interim = reply.interim if found.knows_interim else ()
    after = drive(reply.raw, hooks, rules, interim)
    told = after.as_dict()
    told["signals"] = [match.as_dict() for match in after.matches]
    failed = reply.hook_failed or bool(reply.broken)
    return {
        "raw": reply.raw,
        "before": None if failed else _then(reply, drive(reply.raw, RecordedHooks(reply), rules)
                                            .as_dict(), spec.verdict),
        "after": None if after.error is not None else told,
        "error": None if after.error is None else describe_error(after.error),
        "failed": failed,
    }  # fmt: skip


def last_reply(found: RecordedReplies) -> RecordedReply | None:
    """The last reply among records, also one that is neither said nor dropped yet."""
    if found.current is not None and found.current.rounds:
        return found.current
    return found.replies[-1] if found.replies else None


def _then(reply: RecordedReply, told: dict[str, Any], verdict: bool | None) -> dict[str, Any]:
    """What is on record of a reply; None for stages that had not run."""
    over = bool(reply.outcome)
    judged = reply.judged if reply.judged is not None else verdict
    known = over or judged is not None
    if not over and judged:
        told = {**told, "discarded": True}
    if reply.matches is None:
        told["signals"] = None
    if reply.text is None:
        told["text"] = None
    if not known and (reply.matches is None or reply.matches):
        told["discarded"] = None
    if not over:
        told["outcome"] = told["ends"] = None
    return told
