"""The secrets that are planted: each of its own, each known by where it was put."""

from __future__ import annotations

import ast
import base64
import html
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from urllib.parse import quote, quote_plus

ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = _words("""
    PGPASSWORD MYSQL_PWD DB_PASS SMTP_PASS GITHUB_PAT JWT SECRETKEY NPM_AUTHTOKEN
    APP_PASSPHRASE COOKIE SENTRY_DSN SLACK_WEBHOOK SIGNING_SALT OPENAI_API_KEY
    AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN HF_TOKEN STRIPE_SECRET_KEY DJANGO_SECRET
    JWT_SECRET SESSION_COOKIE REDIS_AUTH BASIC_AUTH VAULT_TOKEN DEPLOY_KEY ENCRYPTION_KEY
    PRIVATE_KEY WEBHOOK_URL_SECRET CLIENT_SECRET REFRESH_TOKEN SERVICE_CREDENTIALS LICENSE_KEY
    TOTP_SEED_KEY DISCORD_WEBHOOK MAIL_PASSWORD
""")
PARAMETERS = _words("""
    key token pwd passphrase private_key aws_secret_access_key aws_session_token
    azure_ad_token client_secret secret password auth_token signing_key bearer jwt cookie
    api_secret_id access_key db_password hmac_salt nobody_knows_this
""")
OPTIONS = ("database_password", "token", "pass_phrase", "licence_key", "hmac_salt", "api_secret",
           "smtp_pass", "auth", "credentials", "psk")  # fmt: skip
HEADERS = ("X-Auth", "X-Amz-Security-Token", "Ocp-Apim-Subscription-Key", "X-Api-Key", "X-Tenant",
           "Cookie", "X-Signature", "X-Session-Key", "X-Vault-Token", "Private-Token", "X-Team",
           "X-Goog-Api-Key")  # fmt: skip
TOKENS = (
    "sk-{24}", "sk-ant-api03-{40}", "ghp_{36}", "glpat-{20}", "xoxb-{24}", "hf_{34}", "npm_{36}",
    "AIza{35}", "ya29.{30}", "gsk_{40}", "sk_live_{24}", "pypi-{40}", "github_pat_{40}",
    "SG.{22}.{43}", "nvapi-{40}",
)  # fmt: skip


@dataclass(slots=True)
class Planted:
    """All secrets, by where they stand."""

    seed: int
    many: bool
    """Whether there are as many as there are places; else a few of each kind."""
    by_place: dict[str, str] = field(default_factory=dict)
    chance: Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)

    def few(self, names: tuple[str, ...], count: int = 3) -> tuple[str, ...]:
        """`names`, or some of them."""
        return names if self.many else names[:count]

    def opaque(self, place: str, *, odd: bool = False, words: bool = False) -> str:
        """A secret that nothing but its place tells of.

        `odd` has characters that every notation escapes, `words` has spaces in it.
        """
        text = self._random(18)
        if odd:
            text = f'{text[:6]}"&<+/%é\\{text[6:]}'
        if words:
            text = " ".join(text[at : at + 3] for at in range(0, 18, 3))
        return self._keep(place, text)

    def token(self, place: str) -> str:
        """A secret that looks like a well-known token."""
        shape = TOKENS[len(self.by_place) % len(TOKENS)]
        text = ""
        for part in shape.replace("}", "{").split("{"):
            text += self._random(int(part)) if part.isdecimal() else part
        return self._keep(place, text)

    def _keep(self, place: str, text: str) -> str:
        assert place not in self.by_place, place
        self.by_place[place] = text
        return text

    def _random(self, length: int) -> str:
        chars = self.chance.choices(ALPHABET, k=length - 2)
        # A letter and a digit at least.
        return "".join(["Q", *chars, "7"])


def seen_as(secret: str) -> set[bytes]:
    """The forms that are looked for; made here, not by the program that is tried."""
    data = secret.encode()
    found = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        repr(secret)[1:-1],
        html.escape(secret),
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(data).decode().rstrip("=")[:-1],
        base64.urlsafe_b64encode(data).decode().rstrip("=")[:-1],
        base64.b64encode(b"x" + data).decode()[2:-4],
        base64.b64encode(b"xx" + data).decode()[3:-4],
    }
    return {form.encode() for form in found if len(form) >= 8}


def searched(data: bytes, secrets: dict[str, str]) -> Iterator[str]:
    """The places of those secrets that stand in `data`, whole or in half."""
    for place, secret in secrets.items():
        if any(form in data for form in seen_as(secret)):
            yield place
        elif secret[: len(secret) * 3 // 4].encode() in data:
            yield f"{place} (its beginning)"


def as_source(value: object) -> str:
    """Plain data as Python source."""
    text = repr(value)
    assert ast.literal_eval(text) == value
    return text
