"""What a name tells of its value: that it is a secret, or that it is known to be harmless.

Two lists, for two questions. `is_secret_name()` is wide, for names of environment variables,
parameters, headers and options. `is_harmless_name()` is the allow-list of what is written as it
is; a value whose name is on neither list is not written either, unless it is no text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]+")

_STEMS: Final = re.compile(
    r"passw(?:or)?d|passphrase|passcode|pswd|secret|token|api_?key|credential|webhook|cookie"
    r"|authorization|authorisation|bearer|connection_?str|csrf|xsrf|sessid|mnemonic|private_?key"
)
_WORDS: Final = words("""
    key keys pass pwd pw pat pats jwt dsn salt auth authn authentication sig signature hmac
    psk pin otp totp cred creds sas seedphrase license licence
""")
_ENDS: Final = ("pass", "pwd", "key", "keys", "auth", "jwt", "dsn", "salt")
_WORDS_THAT_END_SO: Final = words("""
    bypass compass trespass surpass monkey turkey donkey hotkey hotkeys whiskey jockey hockey
    oauth
""")
_OF_SOMETHING_ELSE: Final = words("""
    path paths dir directory file filename folder sock socket type env prefix len length size
    expires expiry ttl parallelism algorithm alg field column name names count limit
""")
"""Last words of names that say something about a secret, and do not hold it."""
_COUNTING: Final = words("""
    max min num count total budget limit prompt completion output input context thinking
    cached reasoning new per stop special used usage rate n remaining reset
""")
_ITS_PLACE: Final = words("""
    url uri host endpoint
""")
_ITSELF_A_URL: Final = re.compile(r"webhook|dsn|connection")

_HARMLESS: Final = words(
    # parameters of model calls
    """
    temperature top_p top_k min_p top_a typical_p max_tokens max_completion_tokens
    max_output_tokens max_new_tokens min_tokens max_retries num_retries n best_of seed stop
    stop_sequences response_format tools tool_choice parallel_tool_calls functions
    function_call reasoning reasoning_effort thinking budget_tokens verbosity effort timeout
    request_timeout stream_timeout stream stream_options include_usage logprobs top_logprobs
    logit_bias presence_penalty frequency_penalty repetition_penalty length_penalty modalities
    voice service_tier store api_base base_url api_type api_version model models
    custom_llm_provider deployment_id region region_name aws_region_name vertex_location
    vertex_project location project cache_control format type kind input_type dimensions
    encoding_format mirostat num_ctx num_predict keep_alive safety_settings drop_params
    allowed_openai_params
    """
    # what is said to a model stands in the requests, too
    """
    messages system system_prompt prompt instructions description persona task
    """
    # options of classes, and variables
    """
    workflow mode level log_level loglevel debug verbose lang language languages locale tz
    timezone style tone theme version variant host hostname port address node_env
    pythonunbuffered pythonpath path home shell term editor pager display
    """
    # headers
    """
    accept accept_encoding accept_language accept_ranges age allow alt_svc cache_control
    connection content_encoding content_language content_length content_type date etag expect
    expires host keep_alive last_modified location mcp_protocol_version pragma retry_after
    retry_after_ms server strict_transport_security te trailer transfer_encoding upgrade
    user_agent vary via warning www_authenticate x_content_type_options x_powered_by
    x_request_id request_id x_correlation_id traceparent x_goog_api_client cf_ray
    cf_cache_status openai_version openai_model openai_processing_ms anthropic_version
    anthropic_beta x_envoy_upstream_service_time x_should_retry http_referer referer x_title
    """
    # fields of queries
    """
    alt beta api_version q page limit offset
    """
)
_HARMLESS_SHAPE: Final = re.compile(
    r"(?:.*_)?(?:path|paths|dir|directory|file|folder|url|uri|endpoint|host|port|level|version)"
    r"|x_stainless_[a-z_]+|(?:x_|anthropic_|openai_)?ratelimit_[a-z0-9_]+|accept_[a-z_]+"
    r"|x_(?:ms_)?(?:client_)?request_id|[a-z]+_request_id|llm_provider_[a-z_]+"
)
_FREE_FORM: Final = words("""
    tools functions response_format stop stop_sequences messages modalities thinking reasoning
    tool_choice function_call stream_options cache_control
""")

_TELLING: Final = re.compile(
    r"(?i)^(?:[a-z0-9_.-]*(?:passw(?:or)?d|passphrase|pswd|secret|api[-_]?keys?|private[-_]?key"
    r"|access[-_]?key|(?:access|auth|refresh|id|session|security|bearer|csrf)[-_]?token"
    r"|credentials?|goog-api-key)|pwd|(?:x-|proxy-)?authorization|x-auth[a-z-]*|(?:set-)?cookies?)$"
)
_DOUBTFUL: Final = re.compile(r"(?i)^(?:[a-z0-9_.-]*[-_.])?(?:token|key|auth|pass|jwt|signature)$")


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a variable, parameter, header, option or flag of this name holds a secret.

    Wide on purpose: a name that may mean one counts. Names that tell where a secret is kept
    (`KEY_FILE`), or that count tokens, do not.
    """
    if name in ("PWD", "OLDPWD"):
        return False  # the shell's working directories
    words = [word.lower() for word in _PART.findall(name)]
    if not words:
        return False
    joined = "".join(words)
    if joined.startswith("tokenizer"):
        return False
    last = words[-1]
    if last in _OF_SOMETHING_ELSE and len(words) > 1:
        return False
    if last in _ITS_PLACE and not _ITSELF_A_URL.search(joined):
        return False
    stem = _STEMS.search(joined)
    if stem is not None:
        return not (stem[0] == "token" and _counts(words))
    if _WORDS.intersection(words):
        return True
    return last.endswith(_ENDS) and last not in _WORDS_THAT_END_SO


def _counts(parts: list[str]) -> bool:
    """Whether a name with `token` in it is a count: `max_tokens`, `token_budget`."""
    if "tokens" in parts:
        return bool(_COUNTING.intersection(parts))
    after = parts[parts.index("token") + 1 :] if "token" in parts else []
    return bool(_COUNTING.intersection(after)) or parts[0] in ("max", "min", "num")


def is_telling_name(name: str, value: object) -> bool:
    """Whether a field of data (a tool's arguments, a result) is a secret.

    Narrower than `is_secret_name()`: what a conversation is about stays readable, so that `key`
    and `token` count only where the value looks like one.
    """
    if _TELLING.match(name):
        return True
    return isinstance(value, str) and _DOUBTFUL.match(name) is not None and looks_random(value)


def is_harmless_name(name: str) -> bool:
    """Whether a value of this name is known not to be a secret."""
    plain = plain_name(name)
    if plain in _HARMLESS:
        return True
    return _HARMLESS_SHAPE.fullmatch(plain) is not None and not is_secret_name(name)


def is_free_form(name: str) -> bool:
    """Whether everything below a parameter is meant for the model: schemas, stop words."""
    return plain_name(name) in _FREE_FORM


@lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """A name for comparison: lower case, its words joined by `_`."""
    return re.sub(r"[-. ]+", "_", name.strip().lstrip("-")).lower()


_SEGMENT: Final = re.compile(r"[A-Za-z0-9+=!@#$%^&*~]+")
_DIGIT: Final = re.compile(r"[0-9]")
_LETTER: Final = re.compile(r"[A-Za-z]")


def looks_random(value: str) -> bool:
    """Whether a text looks like a credential: a long run in which letters and digits mix."""
    if len(value) < 10 or len(value) > 4096 or any(map(str.isspace, value)):
        return False
    return any(
        len(run) >= 10 and _DIGIT.search(run) and _LETTER.search(run)
        for run in _SEGMENT.findall(value)
    )


class LogValues:
    """What the user allows to be written as it is: names (`style`) and paths (`options.style`).

    A path counts from its end, so that `provider.options.style` is allowed by each of its ends.
    Upper and lower case, `-` and `_` do not matter.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._paths = {
            tuple(plain_name(part) for part in name.split(".") if part.strip()) for name in names
        } - {()}

    def allows(self, path: Sequence[str]) -> bool:
        """Whether the value at `path` may be written."""
        if not self._paths:
            return False
        plain = tuple(map(plain_name, path))
        # What stands below something that is allowed is allowed with it.
        return any(
            plain[start : start + len(allowed)] == allowed
            for allowed in self._paths
            for start in range(len(plain) - len(allowed) + 1)
        )


NOTHING_ALLOWED: Final = LogValues()
