"""The engine process as a preview: the results of a provider's hooks for one recorded reply.

A rehook of one turn: the same hooks, pipeline and rules. The whole result is sent, changed or not,
and the turn may be one that is neither committed nor discarded yet.
"""

from __future__ import annotations

from typing import Any

from convtui.engine.core.output import OutputCapture
from convtui.engine.process.pipe import FrameSender
from convtui.engine.process.rehook_process import loaded_provider
from convtui.engine.rehook.replayed_hooks import RecordedHooks, ReplayedHooks, drive, rules_of
from convtui.errors import UsageError
from convtui.log.replies import RecordedReplies, RecordedReply, collect_replies
from convtui.models.base import ModelClients
from convtui.protocol import Kind, PreviewSpec, StartSpec, describe_error
from convtui.providers.base import Provider
from convtui.providers.loader import owner
from convtui.scenario.provider_hooks import SETUP


async def preview(
    start: StartSpec,
    spec: PreviewSpec,
    models: ModelClients,
    sender: FrameSender,
    capture: OutputCapture,
) -> None:
    """Sends `LOADED`, then one `REHOOKED` with the fields of `compare_hooks()`.

    Its `without_setup` is true where the provider has a `setup()` that was not called.

    Raises what `loaded_provider()` and `compare_hooks()` raise.
    """
    async with loaded_provider(
        start, setup=spec.setup, models=models, sender=sender, capture=capture
    ) as provider:
        without_setup = not spec.setup and owner(provider, SETUP.name) == "yours"
        result = compare_hooks(spec, provider)
        sender.send(Kind.REHOOKED, **result, without_setup=without_setup)
        capture.flush()


def compare_hooks(spec: PreviewSpec, provider: Provider) -> dict[str, Any]:
    """The recorded results of the hooks for a turn's last reply, and those of `provider`'s hooks.

    `{raw, before, after, error, failed}`: `before` and `after` have the fields of
    `Result.as_dict()`, None where a stage had not run or the log does not say. `after` is None
    where a hook fails now (`error`); `before` is None where one had failed then (`failed`). Raises
    `UsageError` for records without a raw reply.
    """
    recorded = collect_replies(spec.records)
    reply = _last_reply(recorded)
    if reply is None:
        raise UsageError("there is no raw reply in this turn")
    rules = rules_of(recorded)(reply)
    hooks = ReplayedHooks(provider)
    hooks.recorded = reply.metadata
    interim = reply.interim if recorded.knows_interim else ()
    after = drive(reply.raw, hooks, rules, interim)
    failed = reply.hook_failed or bool(reply.broken)
    before: dict[str, Any] | None = None
    if not failed:
        result = drive(reply.raw, RecordedHooks(reply), rules).as_dict()
        before = _as_recorded(reply, result, spec.verdict)
    return {
        "raw": reply.raw,
        "before": before,
        "after": None if after.error is not None else after.as_dict(),
        "error": None if after.error is None else describe_error(after.error),
        "failed": failed,
    }


def _last_reply(recorded: RecordedReplies) -> RecordedReply | None:
    """The last reply, which may be neither committed nor discarded yet."""
    if recorded.current is not None and recorded.current.rounds:
        return recorded.current
    return recorded.replies[-1] if recorded.replies else None


def _as_recorded(
    reply: RecordedReply, result: dict[str, Any], verdict: bool | None
) -> dict[str, Any]:
    """A result with None for the stages that had not run when the reply was recorded."""
    decided = bool(reply.outcome)
    judged = reply.judged if reply.judged is not None else verdict
    if not decided and judged:
        result["discarded"] = True
    if reply.matches is None:
        result["signals"] = None
    if reply.text is None:
        result["text"] = None
    if not decided and judged is None and (reply.matches is None or reply.matches):
        result["discarded"] = None
    if not decided:
        result["outcome"] = result["ends"] = None
    return result
