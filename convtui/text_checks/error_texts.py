"""How the text of an error is told from a reply, and what metadata says of one.

Providers that catch everything hand on the exception's text, an endpoint's error body or a page of
a proxy as if it were their reply. Words like these count where a reply begins with them or is
nothing else: somebody who talks about errors, or shows one in a code block, makes none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_LOOKED_AT: Final = 20_000
_SHORT: Final = 300
"""Characters up to which a reply may be nothing but an error in everyday words."""
_MOST: Final = 120

_HTTP: Final = (
    r"internal server error|bad gateway|service unavailable|gateway time-?out|too many requests"
    r"|unauthorized|forbidden|not found|bad request|payment required|request timeout"
)
_EXCEPTION: Final = (
    r"(?:[a-z_]\w*\.)*(?:[A-Z]\w*(?:Error|Exception|Timeout|Failure|Expired)|Timeout|Exception"
    r"|CancelledError)\b|(?:[a-z_]\w*\.)*(?:exceptions?|errors?)\.[A-Z]\w*\b"
)
_ARGUMENT: Final = r"""(?::\s*(?:'[^'\n]{1,80}'|"[^"\n]{1,80}"|`[^`\n]{1,80}`))?"""
_VERB: Final = (
    r"\W{0,3}\s+(?:is|are|was|were|means?|indicates?|happens?|occurs?|comes?|usually|typically|tells?|says|shows"
    r"|(?:this|that|it) (?:one )?(?:is|means)|how to|explained)\b"
)
"""What goes on behind the name of an error where somebody explains it."""
_NAMED: Final = re.compile(
    rf"\W*(?:{_EXCEPTION})(?!{_ARGUMENT}{_VERB})(?:\s*[:(]|\s+[45]\d\d\b)"
    rf"|\s*(?:{_EXCEPTION})\s*\Z"
    rf"|\W{{0,4}}(?:ERROR|FATAL|EXCEPTION)\b(?!{_VERB})(?:\W|$)"
)
"""An exception by its name, or a word that programs shout."""
_DOING: Final = (
    r"(?:calling|generating|getting|fetching|processing|querying|invoking|connecting|contacting"
    r"|communicating|reaching|making|retrieving|parsing|loading|executing|running|sending"
    r"|completing|creating|requesting|receiving|reading|obtaining)"
)
_MACHINE: Final = (
    r"(?:response|completion|reply|answer|request|model|endpoint|api|server|message|llm|backend"
    r"|service|host|stream|connection|output)"
)
_KINDS: Final = (
    r"(?:unexpected|internal|unknown|fatal|api|llm|server|system|runtime|connection|network"
    r"|provider|model|upstream|http|openai|anthropic|azure|litellm|unhandled|uncaught|caught"
    r"|authentication|timeout|backend|gateway|proxy)"
)
_BEGINS: Final = re.compile(
    rf"\W{{0,4}}(?:an?\s+)?(?:{_KINDS}\s+)*(?:error|exception)"
    r"(?:[ _]code)?(?:\s+\(?[45]\d\d\)?)?(?:\s+(?:occurred|caught|raised))?\s*(?:[:=]|\s[-–—]\s)"
    r"|\W{0,4}error\s+\w+ing\b(?:\s+[\w./-]+){0,5}\s*[:\-–—]\s"
    rf"|\W{{0,4}}error\s+(?:(?:when|while|during)\s+)?{_DOING}\b(?:\s+[\w./-]+){{0,5}}[.!]?\s*\Z"
    rf"|\W{{0,4}}error\s+in\s+(?:\w+\s+){{0,3}}(?:call|{_MACHINE})[.!]?\s*\Z"
    r"|\W{0,4}error\s+(?:from|in(?! (?:line|your|my|the (?:code|text))\b)|with|while|during"
    r"|response)\b(?:\s+[\w./-]+){0,5}\s*:\s"
    r"|\W{0,4}(?:failed|unable)\s+to\s+(?:get|generate|fetch|call|reach|connect|process"
    rf"|complete|obtain|create)\s+(?:\w+\s+){{0,4}}{_MACHINE}\b[^.!?\n]{{0,80}}[:(]"
    r"|\W{0,4}(?:failed|unable|could not|couldn't|cannot)\s+(?:to\s+)?(?:get|generate|fetch|call"
    rf"|reach|connect to|process|complete|obtain|create)\s+(?:(?:an?|the|any|from|llm)\s+){{0,3}}"
    rf"{_MACHINE}(?:\s+from\s+(?:the\s+)?\w+)?[.!]?\s*\Z"
    rf"|\W{{0,4}}(?:the\s+)?(?:\w+\s+)?(?:{_MACHINE}|call)\s+(?:call\s+|request\s+)?"
    r"(?:has\s+)?failed\s*(?:[:(]|with\s|after\s|\.?\s*\Z)"
    r"|\W{0,4}cannot connect to host \S"
    r"|\W*(?:HTTP(?:/\d(?:\.\d)?)?|HTTP status|(?:response )?status(?:[ _]code)?|error[ _]code)"
    rf"\W{{0,3}}[45]\d\d\b(?!{_VERB})"
    rf"|\W*[45]\d\d\b\W{{0,3}}(?:{_HTTP}|client error|server error)(?!{_VERB})"
    r"|\W*(?:client|server) error '[45]\d\d\b"
    r"|\W{0,4}\[(?:Errno|WinError) -?\d+\]|\W{0,4}(?:HTTPS?ConnectionPool|Connect call failed)\b"
    r"|\W{0,4}(?:read |connect |write )?E(?:CONN(?:RESET|REFUSED|ABORTED)|TIMEDOUT|NOTFOUND|PIPE"
    rf"|AI_AGAIN)\b(?!{_VERB})"
    r"|\W{0,4}getaddrinfo\s"
    r"|'NoneType' object [^.\n]{1,80}\Z|(?:list|string|tuple) index out of range\s*\Z"
    r"|Expecting value: line \d"
    r"|panic: |\W*(?:<\?xml[^>]*>\s*)?<error>"
    r"|\W{0,4}(?:fehler|erreur|errore)\s?:\s"
    r"|\W{0,4}fehler\s+(?:beim|bei der|bei dem|in der|während)\b(?:\s+[\w./-]+){0,5}\s*:\s",
    re.IGNORECASE,
)
_BUSY: Final = (
    r"(?:the )?(?:server|model|engine|service)s? (?:is |are )?(?:currently |temporarily )?"
    r"(?:overloaded|unavailable|busy)"
)
_TAIL: Final = (
    r"(?=\W*\Z|\s*[:(\[{=/\n]|\s+[-–—]|\s+[45]?\d|[.!,;]\s*(?:please|try|retry|sorry|check|you"
    r"|we|the|this|if|contact|request|error|see|our|it|reason|details?|bitte|veuillez|por favor)\b"
    r"|\s+(?:while|during|when|for (?:model|url|your|the|openai|requests)|reached|exceeded"
    r"|in organization|on (?:tokens|requests|our end)|processing|calling|please|due to|after \d"
    r"|by (?:the )?(?:server|peer|remote)|from (?:the )?(?:server|upstream|api|provider)|provided"
    r"|with (?:status|code|url)|bei der|lors d|al|or |and|before|without|sending"
    r"|to (?:the )?(?:server|api|host))\b)"
)
"""How such words go on, where they are not the beginning of somebody's sentence."""
_EVERYDAY: Final = re.compile(
    r"\W{0,4}(?:(?:sorry|i(?:'m| am) (?:so |very )?sorry|apologies|oops|i apologi[sz]e|error)"
    r"(?: for the inconvenience)?\W+(?:but )?)?"
    rf"(?:(?:an?|there was an) (?:\w+ )?error (?:has )?(?:occurred)?(?=\W*\Z|\W|\s)|{_HTTP}"
    r"|rate limit(?:ed)?(?: (?:exceeded|reached|hit|error))?|(?:usage |current )?quota exceeded"
    r"|(?:the |your )?(?:request|connection|model|server|operation|api call) (?:has )?timed out"
    r"|timed? ?out(?: error)?|connection (?:refused|reset|error|aborted|closed|timed out)"
    r"|all connection attempts failed|(?:invalid|incorrect|missing) api key|something went wrong"
    rf"|upstream connect error|no healthy upstream|{_BUSY}|overloaded(?:_error)?"
    r"|max retries exceeded|fetch failed|network error|context_length_exceeded"
    r"|you (?:have )?exceeded your current quota|(?:your )?credit balance is too low"
    r"|insufficient (?:credits|balance|quota|funds|_quota)|provider returned error"
    r"|(?:the )?model (?:[`'\"]?[\w./:-]+[`'\"]? )?(?:does not exist|not found)"
    r"|this model's maximum context length is|prompt is too long"
    r"|name or service not known"
    r"|(?:ssl: )?certificate[_ ]verify[_ ]failed|server disconnected|peer closed connection"
    r"|(?:could not|cannot|can't|unable to|failed to) (?:connect to|reach) (?:the )?(?:server|host"
    r"|api|endpoint|model|backend)"
    r"|[(\[]?no (?:response|reply|output)(?: (?:from|generated|received|returned)[\w ]{0,30})?[)\]]"
    r"|no (?:response|reply) (?:generated|received|returned|from (?:the )?(?:model|api|server|llm))"
    r"|(?:es ist )?ein (?:\w+ )?fehler (?:ist )?aufgetreten|une erreur (?:\w+ )?s'est produite"
    r"|une erreur est survenue|(?:se ha producido|ha ocurrido) un error|si è verificato un errore"
    rf"){_TAIL}"
    r"|(?:there was an|an) (?:\w+ )?error (?:occurred )?(?:while |when |during |in )?"
    r"(?:processing|generating|handling|fulfilling|completing|calling|with) (?:your|the|this)"
    r" (?:request|response|message|query|model|api|reply)"
    r"|(?:sorry|i(?:'m| am) sorry|i apologi[sz]e|apologies)\W+(?:but )?(?:i|we)(?: have|'ve)? "
    r"(?:encountered|ran into|experienced) an? (?:\w+ )?error\b"
    r"|(?:i|we|the (?:server|model|api|system))(?: have|'ve| has)? (?:encountered|ran into"
    r"|experienced|had) an? (?:\w+ )?error (?:while |when )?(?:processing|generating|handling)"
    r"|we(?:'re| are) (?:currently )?experiencing (?:technical|high|some technical|unusually high)"
    r" (?:difficulties|demand|issues|load|traffic|volume)(?=\W*\Z|[.!,]\s*(?:please|try|we)\b)"
    r"|the response was filtered due to the prompt|no endpoints found for "
    r"|(?:sorry\W+)?there was an (?:\w+ )?error\W*\Z"
    r"|(?:\[object object\]|(?-i:undefined|null|NaN))\s*\Z"
    r"|request failed with status code \d|\W{0,4}error\W*\Z|error[ \t]*\n",
    re.IGNORECASE,
)
_OWN_VOICE: Final = re.compile(
    r"\b(?:my|mine|me)\b|\bi(?:'ve|'d|'ll)\b"
    r"|\bi (?!/|o\b)(?!(?:have )?(?:apologi[sz]e|encountered|ran into|experienced|hit|had|got|am"
    r" (?:so |very )?sorry|was unable|could not|couldn't|cannot|can't)\b)(?=[a-z])"
    r"|\byour (?!request|plan|api|account|query|message|input|prompt|connection|network|billing"
    r"|current|credit|key|model|response|organization|limit|usage|quota|internet|question|token)"
    r"|\b(?:said|says) (?:the|my|he|she)\b|\bis what\b|\bour side\b|\blet's\b|\bhow (?:to|do)\b"
    r"|\bich habe\b|\bmein(?:e[mnr]?)?\b|\bih(?:re[nmr]?|r)\b(?! anfrage)|\bj'ai\b"
    r"|\b(?:ma|mon) (?!sieur)",
    re.IGNORECASE,
)
"""Words by which somebody speaks of a matter: what programs write has none of them."""
_TRACEBACK: Final = re.compile(
    r"^(?:Traceback \(most recent call last\)|Exception in thread |\s+at [\w.$<>]+\([\w.]+:\d+\)"
    r"|goroutine \d+ \[|thread '[^']{1,60}' panicked at)",
    re.MULTILINE,
)
_SHOWN: Final = re.compile(
    r"\?|\bi (?:get|got|see|saw|run|ran|have|receive|keep)\b|\bmy\b|\bthis is (?:the|what)\b",
    re.IGNORECASE,
)
"""What stands before a traceback that somebody shows."""
_EXCEPTION_LINE: Final = re.compile(rf"^(?:{_EXCEPTION})(?::|$)", re.MULTILINE)
_PROSE: Final = 4
"""Words of a last paragraph from which it is about the traceback before it."""
_PAGE: Final = re.compile(r"\s*(?:<!doctype html|<html)\b", re.IGNORECASE)
_TITLE: Final = re.compile(
    r"<(title|h1)[^>]{0,200}>\s*(.{1,200}?)\s*</\1", re.IGNORECASE | re.DOTALL
)
_PAGE_OF_ERROR: Final = re.compile(
    rf"\b[45]\d\d\b|{_HTTP}|^\W*error(?=\W*$|\W*\d|\s*[:–-])|\berror\W*$|denied"
    r"|unavailable|^just a moment|^attention required|\bcaptcha\b|cloudflare",
    re.IGNORECASE,
)
_FENCED: Final = re.compile(
    r"^ {0,3}(`{3,}|~{3,})[^\n]*\n.*?(?:^ {0,3}\1[`~]* *$|\Z)", re.DOTALL | re.MULTILINE
)

_PRINTED_BODY: Final = re.compile(
    r"\{\s*'errors?'\s*:\s*(?!''|\"\"|\[\]|\{\})['\"\[{]", re.IGNORECASE
)
"""A dictionary as Python prints it."""
_SAYS: Final = ("message", "detail", "title", "msg", "error_message", "description", "Message")
_NOTHING: Final = frozenset({"", "none", "null", "ok", "false", "0", "no error", "success"})
"""What some write where there is no error."""
_JOINS: Final = re.compile(r"[_\s.-]+")
_MOST_FIELDS: Final = 10
"""Fields that the object of an error has at most."""
_FIELDS: Final = frozenset(
    {
        *("error", "errors", "exception", "failure", "errormessage", "errormsg", "errortype"),
        *("errorcode", "errordetails", "lasterror", "traceback", "stacktrace"),
    }
)
"""Where metadata tell of an error, in lower case and without what joins words."""
_TRUE: Final = frozenset({"iserror", "haserror", "errored", "failed", "timedout"})
_FALSE: Final = frozenset({"success", "ok", "succeeded"})
_STATUS: Final = ("status", "status_code", "http_status", "code", "error_code")
_STATUS_NAMES: Final = frozenset(
    {"status", "statuscode", "httpstatus", "httpstatuscode", "code", "state", "outcome"}
)
_WORDED: Final = _STATUS_NAMES | {"type", "finishreason", "stopreason"}
"""Where a word such as `failed` may stand."""
_BAD_WORDS: Final = frozenset({"error", "failed", "failure", "exception", "timeout"})


def error_in(text: str) -> str | None:
    """The part of a reply that looks like an exception or an HTTP error; None for none."""
    head = text[:_LOOKED_AT].lstrip("\ufeff")
    if not head.strip():
        return None
    body = _error_body(head)
    if body is not None:
        return body[:_MOST] or None
    page = _PAGE.match(head)
    if page is not None:
        title = _TITLE.search(head)
        words = title[2] if title is not None else head
        return _line(head, page.start()) if _PAGE_OF_ERROR.search(words) else None
    prose = _FENCED.sub("\n", head) if "```" in head or "~~~" in head else head
    match = _NAMED.match(prose)
    if match is None:
        match = _BEGINS.match(prose)
        if match is not None and len(prose) <= _SHORT and _is_somebodys(prose):
            match = None
    if match is None:
        match = _traceback(prose)
    if match is None and len(prose) <= _SHORT and not _is_somebodys(prose):
        match = _EVERYDAY.match(prose)
    return None if match is None else _line(prose, match.start())


def page_title(text: str) -> str | None:
    """The title of an HTML page, or its first heading; None for other texts."""
    head = text[:_LOOKED_AT].lstrip("\ufeff")
    if _PAGE.match(head) is None:
        return None
    title = _TITLE.search(head)
    return "" if title is None else " ".join(title[2].split())


def _is_somebodys(text: str) -> bool:
    """Whether a short text asks something, or is about the speakers' own business."""
    return "? " in text or text.rstrip().endswith("?") or _OWN_VOICE.search(text) is not None


def _traceback(prose: str) -> re.Match[str] | None:
    """A traceback, unless the speaker quotes one to ask about it."""
    match = _TRACEBACK.search(prose)
    if match is None:
        return None
    before, after = prose[: match.start()], prose[match.start() :].rpartition("\n\n")
    last = after[2].strip() if after[1] else ""
    explained = (
        len(last.split()) > _PROSE
        and _TRACEBACK.match(last) is None
        and not (_NAMED.match(last) or _EXCEPTION_LINE.search(last))
    )
    return None if explained or _SHOWN.search(before) is not None else match


def error_in_metadata(metadata: Mapping[str, Any]) -> str | None:
    """The error that the metadata of a reply reports: `error`, a bad status and the like."""
    named = {_JOINS.sub("", str(name)).lower(): (name, metadata[name]) for name in metadata}
    for small, (name, value) in named.items():
        if small in _FIELDS and not _is_nothing(value):
            shown = "true" if value is True else _words(value)
            return f"metadata {name}: {shown}"[:_MOST]
    for small, (name, value) in named.items():
        number = _number(value) if small in _STATUS_NAMES else None
        if number is not None and 400 <= number <= 599:
            return f"metadata {name}: {number}"
        word = value.strip() if isinstance(value, str) else ""
        if small in _WORDED and word.casefold() in _BAD_WORDS:
            return f"metadata {name}: {word}"[:_MOST]
    for small, (name, value) in named.items():
        if small in _FALSE and (value is False or str(value).strip().lower() == "false"):
            return f"metadata {name}: false"
        if small in _TRUE and (value is True or str(value).strip().lower() == "true"):
            return f"metadata {name}: true"
    return None


def _is_nothing(value: Any) -> bool:
    """Whether the value of an error field means no error."""
    if isinstance(value, Mapping):
        return all(map(_is_nothing, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_nothing, value))
    return not value or (isinstance(value, str) and value.strip().casefold() in _NOTHING)


def _error_body(text: str) -> str | None:
    """The message of a JSON error body; empty for JSON that is none, None for other texts."""
    start = text.strip()
    printed = _PRINTED_BODY.match(start)
    if printed is not None:
        return start.partition("\n")[0]
    if start.startswith("[{"):
        try:
            items = json.loads(start)
        except ValueError:
            return None
        return (_message_of(items[0]) if len(items) == 1 else None) or ""
    if not start.startswith("{"):
        return None
    try:
        data = json.loads(start)
    except (ValueError, RecursionError):
        # One that was cut off.
        return start.partition("\n")[0] if re.match(r'\{\s*"errors?"\s*:', start) else None
    return _message_of(data) or ""


def _message_of(data: Mapping[str, Any]) -> str | None:
    """The message of an error object; None for other objects."""
    if len(data) > _MOST_FIELDS:
        return None
    says = next((data[name] for name in _SAYS if data.get(name)), None)
    for name in ("error", "errors", "fault"):
        value = data.get(name)
        if not _is_nothing(value):
            return _words(says if value is True and says else value)
    status = next((n for key in (*_STATUS, "statusCode") if (n := _number(data.get(key)))), None)
    has_message = says is not None or set(data) <= {*_STATUS, "statusCode"}
    if status is not None and 400 <= status <= 599 and has_message:
        return _words(says or status)
    if says is None:
        return None
    if "detail" in data and len(data) <= 3:
        return _words(data["detail"])
    failed = data.get("success") is False or data.get("ok") is False
    if failed or str(data.get("status", "")).strip().casefold() in _BAD_WORDS:
        return _words(says)
    if len(data) <= 2 and isinstance(says, str):
        return error_in(says)
    return None


def _words(value: Any) -> str:
    if isinstance(value, Mapping) and value.get("message"):
        value = value["message"]
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return " ".join(text.split())


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return int(value) if 0 <= value < 1000 else None
    match = re.match(r"\s*([1-5]\d\d)(?:\s*\Z|\s+[A-Z])", value) if isinstance(value, str) else None
    return None if match is None else int(match[1])


def _line(text: str, start: int) -> str:
    line = text[start:].lstrip().partition("\n")[0]
    return line.strip()[:_MOST]
