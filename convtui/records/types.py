"""The known fields of every record type, in a form that is read without importing pydantic.

A table for readers of files; `convtui.records.models` has the models that records are written with,
and a test holds the one to the other. A field is written `name:kind`, followed by `!` where a
record must have it and by `?` where it may be null. Kinds are `text`, `int`, `number`, `flag` (true
or false), `object`, `list`, `any` and the names in `SHAPES`; `kind[]` is a list and `kind{}` an
object of them.
"""

from __future__ import annotations

from typing import Final

ENVELOPE_FIELDS: Final = (
    "seq:int! t:number type:any session:int turn:int? side:text? attempt:int? round:int?"
    " call:int? revision:int?"
)

SHAPES: Final[dict[str, str]] = {
    "error": (
        "type:text? message:text? category:text? hook:text? frames:text[]? location:any"
        " status:int? retry_after:number? causes:cause[]? objects_to:object?"
    ),
    "cause": "type:text? message:text? frames:text[]?",
    "termination": (
        "kind:text? by:text? reason:text? at_turn:int? signal:text? detail:ending_detail?"
    ),
    "ending_detail": (
        "category:text? hook:text? error:error? type:text? message:text? frames:text[]?"
        " causes:cause[]?"
    ),
    "usage": (
        "prompt_tokens:number? completion_tokens:number? total_tokens:number?"
        " reasoning_tokens:number? cached_tokens:number? cost:number? calls:int? retries:int?"
        " seconds:number? tokens:number?"
    ),
    "estimate": "prompt_tokens:number? completion_tokens:number? cost:number?",
    "match": (
        "signal:text! matched:text? start:int? end:int? round:int? inside:text? counts:flag?"
    ),
    "interim": "round:int! text:text!",
    "noticed": (
        "flag:text? rule:text? matched:text? start:int? end:int? round:int?"
        " ago:int? count:int? message:text?"
    ),
    "reused": "log:text? seq:int?",
    "drift": "session:int? turn:int? what:text?",
    "draft": "field:text? label:text? text:text?",
    "choice": "id:text! label:text?",
    "decision_call": "tool:text? arguments:object? raw_arguments:text? error:text?",
    "tool_call": "id:text? type:text? name:text? function:tool_function?",
    "tool_function": "name:text? arguments:any",
    "message": "role:text? name:text? tool_call_id:text? tool_calls:tool_call[]?",
    "parent": "id:text! file:text! seq:int! sha256:text!",
    "change": "kind:text? attempt:int?",
    "provider": "spec:text? name:text? kind:text? file:text? sha256:text? model:text?",
    "seeded_turn": (
        "session:int! turn:int! speaker:text! text:text! messages:message[]? metadata:object?"
        " human:flag? edited:flag? draft:text? flags:noticed[]? would_have:text? incomplete:text?"
        " error_text:text? interim:text? reply:text? reasoning_cut:int?"
    ),
    "ended_session": "session:int! session_type:text? termination:termination?",
    "counters": (
        "numbers:int{}? first_speakers:text{}? retries:int? skips:int? metadata:object?"
        " usage:usage{}? compressed:compression{}? taken_over:text[]? budget:list?"
        " pending:pending_turn? responder:object? speaks_next:text?"
    ),
    "past": (
        "turns:past_turn[]? open:past_turn? sessions:past_session[]? totals:usage{}? outputs:int?"
    ),
    "past_turn": (
        "session:int! turn:int! speaker:text? status:text? stage:text? attempt:int? marks:text[]?"
        " codes:text[]? signals:text[]? note:text? error:text? text:text? interim:interim[]?"
        " at:number? latency:number? prompt_tokens:number? completion_tokens:number? cost:number?"
    ),
    "past_session": (
        "session:int! session_type:text? first_speaker:text? max_turns:int? skipped:text?"
    ),
    "compression": "summary:text? upto:int?",
    "pending_turn": "turn:int! messages:message[]?",
    "totals": (
        "discarded:int? inherited_turns:int? seconds:number? sessions:int? turns:int?"
        " usage:usage{}?"
    ),
}
"""Objects inside records, as far as they are known; what else is in them stays as it is."""

FIELDS: Final[dict[str, str]] = {
    "header": (
        "format:text version:text id:text! created_at:text! origin:text parents:parent[]"
        " change:change? persona:text! provider:provider! scenario:object! environment:text{}"
        " seal:text?"
    ),
    "history.seeded": (
        "turns:seeded_turn[]! sessions:text[]! current:int! counters:counters!"
        " messages:message[]{}! ended:ended_session[] past:past?"
        " clock:number{}?"
    ),
    "provider.setup": (
        "duration:number! outcome:text! error:error? hooks:text{}? stateful:flag?"
        " termination_signals:text[] persona_signals:text[]"
    ),
    "sessions.prepared": "requested:text[]! prepared:text[]! duration:number replayed:flag?",
    "session.entered": (
        "session:int! session_type:text! duration:number! outcome:text error:error? replayed:flag?"
    ),
    "session.reset": (
        "session:int! next_session_type:text! duration:number! outcome:text error:error?"
        " replayed:flag?"
    ),
    "session.started": (
        "session:int! session_type:text! first_speaker:text! max_turns:int? continued:flag?"
    ),
    "turn.started": "speaker:text! human:flag?",
    "llm.request": (
        "base:int? keep:int append:message[]! params:object model:text? tools:text[]?"
        " estimate:estimate? sha256:text!"
    ),
    "llm.partial": "offset:int! text:text!",
    "llm.response": (
        "raw:text! reasoning:text? tool_calls:tool_call[]? finish_reason:text? refused:flag?"
        " parts:object[]? usage:usage?"
        " response_id:text? model:text? ttft:number? duration:number? chunks:number[][]?"
        " metadata:object? reused:reused? error:error? incomplete:text?"
    ),
    "human.wrote": "text:text! draft:text? reused:reused?",
    "llm.retry": "n:int! delay:number! error:error! partial:text? attempts:int?",
    "llm.failed": "error:error! partial:text? duration:number?",
    "tool.called": (
        "id:text! name:text! arguments:object? raw_arguments:text edited:flag? max_rounds:int?"
    ),
    "tool.returned": (
        "id:text! name:text! ok:flag! result:any error_kind:text? duration:number? truncated:flag?"
        " size:int? reused:reused?"
    ),
    "signals.extracted": "matches:match[]! duration:number hook:text",
    "response.processed": (
        "text:text! changed:flag! duration:number hook:text metadata:object? interim:interim[]?"
    ),
    "turn.discarded": (
        "speaker:text! text:text! raw:text! signals:match[]! hook:text! outcome:text! human:flag?"
        " interim:text? incomplete:text? error_text:text?"
    ),
    "turn.committed": (
        "speaker:text! text:text! words:int! metadata:object? human:flag? edited:flag? empty:flag?"
        " truncated:flag? would_have:text? draft:text? flags:noticed[]? interim:text? reply:text?"
        " incomplete:text? error_text:text? reasoning_cut:int?"
    ),
    "turn.inactive": "speaker:text! text:text! reason:text!",
    "user.decided": (
        "kind:text! tool:text? arguments:object? raw_arguments:text? valid:flag reason:text?"
        " calls:decision_call[]? latency:number? by:text followup:int? max_followups:int?"
        " for_record:flag? brief_edited:flag?"
    ),
    "user.ended": "simulator:text! reason:text! dropped_text:text? sentinel:text?",
    "session.ended": (
        "session:int! session_type:text! termination:termination? turns:int duration:number?"
        " skipped:text? usage:usage{}?"
    ),
    "budget.crossed": "scope:text what:text! limit:number! used:number!",
    "context.seeded": (
        "template:text! file:text? sha256:text? count:int? patterns:int? left_out:int?"
        " slots:text{}? addendum:text? messages:message[]!"
    ),
    "context.compressed": "summary:text! upto:int rows_in:int rows_out:int",
    "reflection.added": "text:text! of:int! model:text? reused:reused?",
    "provider.output": "stream:text! text:text! dropped:int? source:text?",
    "provider.restored": "mode:text! duration:number answers:int? drift:drift[]?",
    "provider.reload_failed": "error:error!",
    "turn.cancelled": "partial:text reason:text",
    "turn.skipped": "reason:text!",
    "budget.raised": "scope:text what:text! limit:number! before:number?",
    "tool.approved": "id:text! name:text!",
    "tool.denied": "id:text! name:text! reason:text arguments:object? raw_arguments:text",
    "user.closed": "duration:number calls:int outcome:text error:error?",
    "user.cleanup": "duration:number! outcome:text error:error?",
    "debug.held": (
        "hold:int! reason:text! stage:text! detail:text drafts:draft[] choices:choice[]"
        " error:error?"
    ),
    "debug.released": "hold:int! choice:text! by:text",
    "debug.edited": (
        "hold:int? field:text! before:text! after:text! undoes:int? redoes:int? left:int?"
    ),
    "debug.overrode": "what:text! before:any after:any undoes:int?",
    "debug.injected": "fault:text! left:int?",
    "debug.took_over": "",
    "debug.handed_back": "",
    "provider.cleanup": "duration:number! outcome:text error:error?",
    "warning": "message:text! code:text detail:object? line:int?",
    "conversation.ended": "termination:termination!",
    "trailer": (
        "closed_at:text! records:int! termination:termination? totals:totals truncated:flag"
    ),
}
