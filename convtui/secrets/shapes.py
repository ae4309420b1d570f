"""What secrets look like where nobody has said that they are one.

A shape is looked for only where one of its signs stands, in lower case: most text has none, and is
not looked at any further.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

REDACTED: Final = "[redacted]"
Span = tuple[int, int]

_QUOTE: Final = r"(?:\\{0,7}[\"']|&quot;|&#x27;|&#39;)"
_VALUE: Final = r"[^\s\"'\\,;{}\[\]&<>]+"


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern; its group `secret` is redacted, or the whole match where it has none."""

    signs: tuple[str, ...]
    pattern: re.Pattern[str]
    accepts: Callable[[re.Match[str]], bool] = lambda match: True

    def spans(self, text: str, *, whole: bool = False) -> Iterator[Span]:
        """The matches in `text`; with `whole` including the name before the secret."""
        group = "secret" if "secret" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text):
            if match.end(group) > match.start(group) and self.accepts(match):
                yield match.span(0 if whole else group)


def _no_placeholder(match: re.Match[str]) -> bool:
    """Whether a value is real and no placeholder: `$KEY`, `null`, `os.environ[...]`."""
    return _PLACEHOLDER.match(match["secret"]) is None


def _no_plain_word(match: re.Match[str]) -> bool:
    """As `_no_placeholder`; a single word after a colon in a sentence is no secret either."""
    value = match["secret"]
    if _PLACEHOLDER.match(value):
        return False
    name = match["name"]
    if match.string[max(0, match.start("name") - 1) : match.start("name")] == "\\":
        name = name[1:]  # of a line end, written as one
    if match["quote"] or (match["sign"] == "=" and name.isupper()):
        return True
    return len(value) >= 6 and not _PLAIN_WORD.fullmatch(value)


_PLACEHOLDER: Final = re.compile(
    r"(?i)(?:\$|%\(?[a-z]|\{|<|os\.environ|os\.getenv|getenv|process\.env|redacted\]?$|\[redacted"
    r"|(?:null|none|true|false|undefined|str|string|bytes|int|optional|required|missing|empty"
    r"|x{3,}|\*{3,}|\.{3,})\W*$)"
)
_PLAIN_WORD: Final = re.compile(r"[A-Za-z]+[).:!?]*|[A-Za-z_.]+\(.*")

TOKENS: Final = re.compile(
    r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt]))(?:"
    r"(?:sk|pk|rk|csk)-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic and all who copied them
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,}"  # Stripe
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|gl(?:pat|dt|rt|cbt|ptt|soat|agent|oas|imt|ft)-[A-Za-z0-9_.-]{16,}"  # GitLab
    r"|xox[abceoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"  # Slack
    r"|(?:AKIA|ASIA|ABIA|ACCA|AIDA|AROA)[0-9A-Z]{16}(?![0-9A-Za-z])"  # AWS
    r"|AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z_-]{16,}|GOCSPX-[0-9A-Za-z_-]{20,}"  # Google
    r"|eyJ[A-Za-z0-9_-]{6,}\.eyJ[A-Za-z0-9_-]{6,}\.?[A-Za-z0-9_.-]*"  # JSON Web Tokens
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{0,4096}\.[A-Za-z0-9_.-]{10,}"
    r"|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{16,}"
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"  # SendGrid
    r"|do[opr]_v1_[a-f0-9]{32,}|dapi[0-9a-f]{32}|hv[sbr]\.[A-Za-z0-9_-]{20,}"
    r"|(?:SK|AC)[0-9a-f]{32}(?![0-9A-Za-z])"  # Twilio
    r"|shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}|sq0(?:atp|csp)-[A-Za-z0-9_-]{20,}"
    r"|key-[0-9a-f]{32}|[0-9a-f]{32}-us[0-9]{1,2}(?![0-9A-Za-z])"  # Mailgun, Mailchimp
    r"|[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}"  # Telegram
    r"|nvapi-[A-Za-z0-9_-]{20,}|gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}|pplx-[A-Za-z0-9]{20,}"
    r"|r8_[A-Za-z0-9]{30,}|tgp_v1_[A-Za-z0-9_-]{20,}|lsv2_(?:pt|sk)_[A-Za-z0-9_]{20,}"
    r"|gl(?:c|sa)_[A-Za-z0-9+/=_]{20,}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}|dp\.pt\.[A-Za-z0-9]{40,}"
    r"|sntry[su]_[A-Za-z0-9+/=_-]{20,}|sbp_[a-f0-9]{40}|tskey-[A-Za-z0-9-]{20,}"
    r"|ATATT3x[A-Za-z0-9_=-]{20,}|lin_api_[A-Za-z0-9]{20,}|ntn_[A-Za-z0-9]{30,}"
    r"|secret_[A-Za-z0-9]{40,}|figd_[A-Za-z0-9_-]{20,}|dckr_pat_[A-Za-z0-9_-]{20,}"
    r"|AGE-SECRET-KEY-1[0-9A-Z]{50,}|NRAK-[A-Z0-9]{20,}|ph[cx]_[A-Za-z0-9]{40,}"
    r")"
)
"""Tokens that say by their beginning what they are."""

_NAMED: Final = (
    r"(?<![A-Za-z0-9_.-])(?P<name>[A-Za-z0-9_.-]{0,64}?(?:"
    r"(?i:passw(?:or)?d|passphrase|secret|api[-_]?keys?|private[-_]?key|access[-_]?key"
    r"|(?:access|auth|refresh|session|security|bearer|client)[-_]?token|credentials?)"
    r"(?:(?i:_(?:key|value|access_key|token))|_[A-Z0-9_]{1,24})?"
    r"|(?i:pwd|x-auth)|(?:TOKEN|_KEY|_PASS|_PWD|_PAT|_DSN|_JWT|_SALT|_AUTH)"
    r"|(?<![A-Za-z0-9_.-])(?i:token)"
    r"))"
)
_NAMED_QUOTED: Final = re.compile(
    _NAMED + rf"(?:{_QUOTE})?\s{{0,4}}(?P<sign>[:=])\s{{0,4}}(?P<quote>{_QUOTE})"
    r"(?P<secret>(?:(?!(?P=quote))[^\n]){4,4000})"
)
_NAMED_BARE: Final = re.compile(
    _NAMED + rf"(?P<quote>{_QUOTE})?\s{{0,4}}(?P<sign>[:=])\s{{0,4}}(?P<secret>{_VALUE})"
)
_NAME_SIGNS: Final = (
    "password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key",
    "private_key", "private-key", "privatekey", "access_key", "access-key", "accesskey",
    "credential", "pwd", "x-auth", "_key", "_pass", "_pat", "_dsn", "_jwt", "_salt", "_auth",
)  # fmt: skip

SHAPES: Final = (
    # scheme://user:password@host keeps the host; a user alone is as often a token.
    Shape(("://",), re.compile(r":(?:\\?/){2}(?P<secret>[^\s/\"'<>?#\\]+)@")),
    Shape(
        ("authorization",),
        re.compile(
            rf"(?i)\b(?:proxy-)?authorization(?:{_QUOTE})?\s{{0,4}}[:=,]\s{{0,4}}(?:{_QUOTE})?"
            r"(?:(?:bearer|basic|token|digest|apikey)\s+)?(?P<secret>[^\s\"',}\\]+)"
        ),
        _no_placeholder,
    ),
    Shape(
        ("bearer",),
        re.compile(r"(?i)\bbearer\s+(?P<secret>[A-Za-z0-9._~+/=-]{8,})"),
        _no_placeholder,
    ),
    Shape(
        ("basic",),
        re.compile(
            r"\b[Bb]asic\s+(?P<secret>(?=[A-Za-z0-9+/]{0,400}[0-9=])[A-Za-z0-9+/]{12,}={0,2})"
        ),
    ),
    Shape(
        ("cookie",),
        re.compile(r"(?i)\b(?:set-)?cookie\s{0,4}:\s{0,4}(?P<secret>[\w.-]+=[^\s\"']+[^\n\"']*)"),
    ),
    Shape(_NAME_SIGNS, _NAMED_QUOTED, _no_placeholder),
    Shape(_NAME_SIGNS, _NAMED_BARE, _no_plain_word),
    Shape(  # arguments of a command
        _NAME_SIGNS,
        re.compile(
            r"(?<![^\s\"'])--[a-z0-9-]{0,40}(?:password|passphrase|secret|token|api-?key|private-key"
            r"|access-key|credentials?)[\s\"',]{1,4}(?P<secret>[^\s\"',;-][^\s\"',;]*)"
        ),
        lambda match: _no_placeholder(match) and _PLAIN_WORD.fullmatch(match["secret"]) is None,
    ),
    Shape(
        ("key=", "token=", "sig=", "password=", "code=", "secret=", "signature="),
        re.compile(
            r"(?i)[?&](?:amp;)?(?:[a-z0-9_-]{0,40}[_-])?"
            r"(?:key|apikey|token|sig|signature|secret|password|pwd|code)=(?P<secret>[^&\s\"'<>\\]+)"
        ),
        _no_placeholder,
    ),
    Shape(  # connection strings
        ("accountkey=", "sharedaccesskey=", "password=", "pwd="),
        re.compile(r"(?i)\b(?:AccountKey|SharedAccessKey|Password|Pwd)=(?P<secret>[^;\s\"'&]{4,})"),
        _no_placeholder,
    ),
    Shape(
        ("hooks.slack.com", "webhook"),
        re.compile(
            r"(?i)https?://(?:hooks\.slack\.com/(?:services|workflows|triggers)"
            r"|(?:[a-z]+\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks"
            r"|[a-z0-9.-]+\.webhook\.office\.com/webhookb2)/(?P<secret>[^\s\"'<>\\]+)"
        ),
    ),
    Shape(("1//0",), re.compile(r"(?<![0-9A-Za-z])1//0[0-9A-Za-z_-]{30,}")),  # Google
    Shape(
        ("private key",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
            r"(?P<secret>[\s\S]*?)(?:-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----|\Z)"
        ),
    ),
)
"""All but `TOKENS`, which has no sign but its length."""

CAREFUL: Final = re.compile(
    r"""\b(?:[A-Z0-9_]{0,64}(?:TOKEN|API_?KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS?|AUTH)(?:_[A-Z0-9_]{1,64})?"""
    r"""|(?i:\w{0,64}(?:password|passwd|passphrase|secret)(?:_\w{1,64})?))"""
    r"""[\\"']{0,8}\s{0,8}[:=]\s{0,8}[\\"']{0,8}(?!(?:null|true|false)\b|\[redacted\])"""
    r"""(?P<secret>[^\s\\"',;{}\[\]&]+)"""
)
"""A value behind a name that tells of a secret, whatever it is: for what is made to be shared."""

OPEN_END: Final = re.compile(
    rf"(?:(?i:authorization|bearer|basic|token|digest|apikey|cookie|x-auth|pwd)|{_NAMED})"
    rf"(?:(?:{_QUOTE})?\s{{0,4}}(?:[:=,]\s{{0,4}}(?:{_QUOTE}[^\n\"']{{0,4000}}"
    r"|(?i:bearer|basic|token|digest|apikey)?\s{0,4})?)?)?[!-~]*\Z"
)
"""The end of a text that may go on with a secret: not to be let out before what follows is known.
"""
NAME_SIGNS: Final = (
    *_NAME_SIGNS, "authorization", "bearer", "basic", "digest", "apikey", "cookie",
)  # fmt: skip
"""Where none of these stands, in lower case, `OPEN_END` finds no name."""
PRIVATE_KEY: Final = "-----BEGIN "
PRIVATE_KEY_ENDS: Final = re.compile(r"-----END [^\n-]{0,40}-----")

_TOKEN_BYTES: Final = bytes(
    code if (chr(code).isalnum() and code < 128) or code in b"_-." else 32 for code in range(256)
)
_RUN_BYTES: Final = bytes(120 if code != 32 else 32 for code in _TOKEN_BYTES)
SHORTEST_TOKEN: Final = 15
_LONG_RUN: Final = b"x" * SHORTEST_TOKEN


def may_hold_token(data: bytes) -> bool:
    """Whether one of `TOKENS` may stand in `data`: a look at the lengths of its words."""
    if data.translate(_RUN_BYTES).find(_LONG_RUN) < 0:
        return False
    words = data.translate(_TOKEN_BYTES).split()
    long_words = b" ".join([word for word in words if len(word) >= SHORTEST_TOKEN])
    if len(long_words) > _MUCH and not _has_sign(long_words):
        return False
    return _BEGINNING.search(long_words) is not None


def _has_sign(data: bytes) -> bool:
    letters = frozenset(data)
    return any(letters.issuperset(sign) and sign in data for sign in _BEGINNING_SIGNS)


_MUCH: Final = 1 << 16
"""Bytes; above them literals are looked for first: the pattern takes seconds for many megabytes."""
_BEGINNING_SIGNS: Final = (
    b"sk-", b"sk_", b"pk-", b"pk_", b"rk-", b"rk_", b"whsec_", b"ghp_", b"gho_", b"ghu_", b"ghs_",
    b"ghr_", b"github_pat_", b"gl", b"xox", b"xapp-", b"IA", b"CA", b"ROA", b"IDA", b"AIza",
    b"ya29.", b"GOCSPX-", b"eyJ", b"hf_", b"npm_", b"pypi-", b"SG.", b"_v1_", b"dapi", b"hv",
    b"SK", b"AC", b"shp", b"sq0", b"key-", b"-us", b"AA", b"nvapi-", b"gsk_", b"xai-", b"pplx-",
    b"r8_", b"lsv2_", b"PMAK-", b"dp.pt.", b"sntry", b"sbp_", b"tskey-", b"ATATT", b"lin_api_",
    b"ntn_", b"secret_", b"figd_", b"dckr_pat_", b"AGE-SECRET", b"NRAK-", b"phc_", b"phx_",
)  # fmt: skip
"""One of them stands in whatever `_BEGINNING` matches."""
_BEGINNING: Final = re.compile(
    rb"[spr]k[-_]|whsec_|gh[pousr]_|github_pat_|gl[a-z]{1,5}[-_]|xox|xapp-|A[KSBIR][IC]A|ACCA|AROA"
    rb"|AIDA|AIza|ya29\.|GOCSPX-|eyJ|hf_|npm_|pypi-|SG\.|_v1_|dapi|hv[sbr]\.|SK[0-9a-f]{8}"
    rb"|AC[0-9a-f]{8}|shp[a-z]{2}_|sq0|key-|-us[0-9]|AA[A-Za-z0-9_-]{30}|nvapi-|gsk_|xai-|pplx-"
    rb"|r8_|lsv2_|PMAK-|dp\.pt\.|sntry|sbp_|tskey-|ATATT|lin_api_|ntn_|secret_|figd_|dckr_pat_"
    rb"|AGE-SECRET|NRAK-|ph[cx]_"
)
