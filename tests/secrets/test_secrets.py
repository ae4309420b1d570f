"""What is secret, and what is left of a text that had it in it."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtui.secrets import shapes
from convtui.secrets.events import masked_events
from convtui.secrets.masking import (
    masked_places,
    public_arguments,
    public_headers,
    public_params,
    public_url,
)
from convtui.secrets.names import LogValues, is_harmless_name, is_secret_name
from convtui.secrets.redactor import CarefulRedactor, Redactor, moved, redact
from convtui.secrets.shapes import REDACTED
from convtui.secrets.stream import StreamRedactor
from convtui.secrets.values import all_of, argument_secrets, secret_values, secrets_of

KEY = "sk-" + "a1B2" * 6
OPAQUE = 'cloud"9\\pass wörd/&+'
"""A secret that looks different in every form."""


def _words(text: str) -> list[str]:
    return text.split()


SECRET_NAMES = _words("""
    PGPASSWORD MYSQL_PWD DB_PASS DBPASS SMTP_PASS GITHUB_PAT JWT SECRETKEY NPM_AUTHTOKEN
    APP_PASSPHRASE COOKIE SENTRY_DSN SLACK_WEBHOOK SLACK_WEBHOOK_URL SIGNING_SALT
    OPENAI_API_KEY AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN key token pwd passphrase
    private_key privateKey aws_secret_access_key aws_session_token vertex_credentials
    azure_ad_token api_keys auth.pass credentials X-Auth X-Amz-Security-Token
    Ocp-Apim-Subscription-Key --api-key --token apiKey HF_TOKEN client_secret Set-Cookie
    Proxy-Authorization x-goog-api-key SSHKEY hmac STRIPE_SK_KEY connection_string
    AZURE_STORAGE_CONNECTION_STRING refresh_token id_token sasKey licence_key NEW_TOKEN
""")
PLAIN_NAMES = _words("""
    PATH HOME KEY_PATH KEY_FILE SSH_AUTH_SOCK GIT_AUTHOR_NAME KEYBOARD PWD OLDPWD MAX_TOKENS
    TOKENIZERS_PARALLELISM monkey completion_tokens token_budget tokens_per_minute AUTH_URL
    max_completion_tokens passed author temperature api_base x-ratelimit-remaining-tokens
    XAUTHORITY token_type COMPASS BYPASS keyword passenger tokenizer hockey
""")


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert not is_harmless_name(name)
    if len(name.split(".")) == 1:
        assert secret_values({name.lstrip("-"): "an-opaque-value"}) == ("an-opaque-value",)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_names_that_only_sound_like_it(name: str) -> None:
    assert not is_secret_name(name)
    assert secret_values({name: "an-ordinary-value"}) == ()


def test_an_environment(tmp_path: Path) -> None:
    kept_in = tmp_path / "key.json"
    kept_in.write_text("{}")
    environ = {
        "OPENAI_API_KEY": "abcdefgh1",
        "API_KEY": "short",
        "GOOGLE_APPLICATION_CREDENTIALS": str(kept_in),
        "PGPASSWORD": "postgres",
        "AUTH": "disabled",
        "DATABASE_URL": "postgres://shop:p%40ssw0rd99@db/shop",
        "HTTPS_PROXY": "http://proxytokenalone@proxy:3128",
        "ODBC": "Server=db;Uid=shop;Pwd=sesame-sesame;",
        "UNNAMED": f"x {KEY} y",
        "BASIC_AUTH": "Basic " + base64.b64encode(b"shop:opensesame7").decode(),
        "GCP_CREDENTIALS": json.dumps({"type": "service_account", "private_key": "line-one-key"}),
        "HOME": "/home/somebody",
    }
    found = set(secret_values(environ))
    assert {"abcdefgh1", "p%40ssw0rd99", "p@ssw0rd99", "proxytokenalone", "sesame-sesame", KEY,
            "opensesame7", "line-one-key"} <= found  # fmt: skip
    assert not {"short", "postgres", "disabled", str(kept_in), "/home/somebody"} & found
    assert secret_values({"DEPLOY_KEY": "-----BEGIN\n" + "M" * 40 + "\n"})[-1] == "M" * 40


SHAPES = {
    "openai": KEY,
    "anthropic": "sk-ant-api03-" + "Zq9-" * 10,
    "github": "ghp_" + "aB3" * 12,
    "github fine-grained": "github_pat_" + "aB3_" * 12,
    "gitlab": "glpat-" + "aB3-" * 5,
    "slack": "xoxb-1234567890-abcdefABCDEF",
    "slack app": "xapp-1-A0B1C2D3-123456",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "aws session": "ASIAIOSFODNN7EXAMPLE",
    "google": "AIza" + "Sy0_-" * 7,
    "google oauth": "ya29." + "a0Af-" * 8,
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
    "hugging face": "hf_" + "aBc" * 11,
    "npm": "npm_" + "a1B" * 12,
    "pypi": "pypi-AgEIcHlwaS5vcmc" + "x" * 20,
    "sendgrid": "SG." + "a1B2" * 6 + "." + "c3D4" * 10,
    "stripe": "sk_" + "live_" + "a1B2" * 6,
    "digitalocean": "dop_v1_" + "0af1" * 16,
    "twilio": "SK" + "0af1" * 8,
    "telegram": "123456789:AA" + "b1_-" * 9,
    "groq": "gsk_" + "a1B2" * 10,
    "databricks": "dapi" + "0af1" * 8,
}


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize(
    "around", ["{}", "it is {}, keep it", '{{"x": "{}"}}', "a\\n{}", "key={}&b=1"]
)
def test_well_known_tokens_need_not_be_known(kind: str, around: str) -> None:
    token = SHAPES[kind]
    text = around.format(token)
    assert token not in redact(text)
    assert Redactor().suspects(text.encode())
    assert secrets_of({"nobody_knows": token}) == (token,)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"Authorization: Bearer {KEY}", KEY),
        ("authorization: opaque-1234", "opaque-1234"),
        ('{"authorization": "Basic dXNlcjpwYXNzd29yZA=="}', "dXNlcjpwYXNzd29yZA=="),
        ("curl -H 'Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA=='", "dXNlcjpwYXNzd29yZA"),
        ("https://user:hunter2hunter2@example.org/path", "hunter2hunter2"),
        ("https://tokenalone@example.org/path", "tokenalone"),
        ("postgres://u:p@ss@db:5432/x", "p@ss"),
        ("https://example.org/?api_key=abcd1234&x=1", "abcd1234"),
        ("https://example.org/?X-Amz-Signature=abcd1234", "abcd1234"),
        ("https://x.blob.core.windows.net/a?sv=2021&sig=abc%2Fdef%3D", "abc%2Fdef%3D"),
        ("x-api-key: opaque1234", "opaque1234"),
        ("DB_PASS=hunter2 next", "hunter2"),
        ("export NPM_TOKEN='two words'", "two words"),
        ('{"password": "two words"}', "two words"),
        (r"{\"client_secret\": \"abc 123\"}", "abc 123"),
        ("passphrase: hunter2hunter2", "hunter2hunter2"),
        ("server --api-key s3cret-1 --port 80", "s3cret-1"),
        ("['server', '--auth-token', 's3cret-1']", "s3cret-1"),
        ("AccountName=a;AccountKey=abcd1234==;End", "abcd1234=="),
        ("Server=db;User=a;Password=sesame1;", "sesame1"),
        ("set-cookie: sid=abc123; HttpOnly", "abc123"),
        ("https://hooks.slack.com/services/T0/B0/abc123", "abc123"),
        ("https://discord.com/api/webhooks/12/ab-cd", "ab-cd"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----", "MIIabc"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\\nb3Bl\\n", "b3Bl"),
    ],
)
def test_what_looks_like_a_secret_goes(text: str, secret: str) -> None:
    shown = redact(text)
    assert secret not in shown
    assert REDACTED in shown
    assert redact(shown) == shown
    assert Redactor().suspects(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "The password is wrong, the token expired, and the key is under the mat.",
        "Password: please type it again",
        "I need basic understanding of bear instruments",
        "tokens: 12, max_tokens=100, completion_tokens: 5",
        "password=${DB_PASSWORD} api_key=os.environ['KEY'] token: null secret={secret}",
        "def login(password: str, token: Optional[str] = None): pass",
        "see https://example.org/a@b and mail me@example.org",
        "chatcmpl-9f8e7d6c5b4a 550e8400-e29b-41d4-a716-446655440000 " + "0af1" * 16,
        "a cookie: chocolate chip",
        "give it --token and --password flags",
        "npm_config_cache hf_model sk-learn AKIA eyJ glass-pattern",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert redact(text) is text


FORMS = {
    "plain": OPAQUE,
    "json": json.dumps(OPAQUE),
    "json, not ascii": json.dumps(OPAQUE, ensure_ascii=False),
    "json in json": json.dumps(json.dumps({"a": OPAQUE})),
    "python": repr([OPAQUE]),
    "python, ascii": ascii([OPAQUE]),
    "html": html.escape(OPAQUE),
    "url": quote(OPAQUE, safe=""),
    "url, lower": quote(OPAQUE, safe="").replace("%22", "%22").replace("%C3%B6", "%c3%b6").lower(),
    "path": quote(OPAQUE),
    "form": quote_plus(OPAQUE),
    "base64": base64.b64encode(OPAQUE.encode()).decode(),
    "base64, shifted": base64.b64encode(b"a:" + OPAQUE.encode()).decode(),
    "base64, shifted more": base64.b64encode(b"user1:" + OPAQUE.encode() + b"!").decode(),
    "base64, url": base64.urlsafe_b64encode(OPAQUE.encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_known_secret_goes(form: str) -> None:
    redactor = Redactor([OPAQUE])
    text = f"before {FORMS[form]} after"
    shown = redactor.text(text)
    assert REDACTED in shown
    assert OPAQUE[:8] not in shown
    assert (shown.startswith("before "), shown.endswith(" after")) == (True, True)
    if "base64" in form:
        assert FORMS[form][4:-4] not in shown
    assert redactor.suspects(json.dumps({"text": text}).encode())
    assert redactor.suspects(json.dumps({"text": text}, ensure_ascii=False).encode())


ANY_TEXT = st.text(st.characters(), max_size=60)


@given(ANY_TEXT, ANY_TEXT)
def test_known_secrets_go_wherever_they_stand(before: str, after: str) -> None:
    assert "hunter2hunter2" not in Redactor(["hunter2hunter2"]).text(
        f"{before}hunter2hunter2{after}"
    )


def test_short_values_go_by_name_only() -> None:
    redactor = Redactor(["test"])
    assert redactor.text("a test") == "a test"
    assert public_params({"api_key": "test"}, redactor) == {"api_key": REDACTED}


def test_data_is_looked_at_by_value_and_by_name() -> None:
    redactor = Redactor()
    redactor.add("longsecret", "short")
    data = {
        "a": ["xlongsecretx", 1, None],
        "api_key": "k",
        "b": {"Authorization": "z", "api_keys": ["one", "two"]},
        "short": "short",
        "key": "colour",
        "token": " Hello",
        "on_signal": {"PASSWORD": "pause"},
    }
    assert redactor.data(data) == {
        "a": [f"x{REDACTED}x", 1, None],
        "api_key": REDACTED,
        "b": {"Authorization": REDACTED, "api_keys": [REDACTED, REDACTED]},
        "short": "short",
        "key": "colour",
        "token": " Hello",
        "on_signal": {"PASSWORD": "pause"},
    }
    assert redactor.data({"token": "h4ck3rm4n99-token"}) == {"token": REDACTED}


def test_what_is_given_away_is_looked_at_with_more_care() -> None:
    known = Redactor(["hunter2hunter2"])
    careful = CarefulRedactor(known)
    assert known.text("MY_PASSWORD: word") == "MY_PASSWORD: word"
    assert careful.text("MY_PASSWORD: word hunter2hunter2") == f"MY_PASSWORD: {REDACTED} {REDACTED}"
    assert careful.data({"db_pass": "x"}) == {"db_pass": REDACTED}


def test_an_environment_that_grows_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = Redactor.of_process()
    line = b'{"text": "it is brand-new-value"}'
    assert not redactor.suspects(line)
    monkeypatch.setenv("BRAND_NEW_PASSWORD", "brand-new-value")
    assert redactor.suspects(line)
    assert redactor.text("it is brand-new-value") == f"it is {REDACTED}"
    monkeypatch.setenv("BRAND_NEW_PASSWORD", "another-value-1")
    redactor.look_everywhere()
    assert redactor.text("another-value-1") == REDACTED


@given(st.lists(st.sampled_from(["x", "secret-one-1", "é", " "]), max_size=12), st.integers(0, 90))
def test_a_place_in_what_is_written(parts: list[str], place: int) -> None:
    text = "".join(parts)
    redactor = Redactor(["secret-one-1"])
    spans = redactor.spans(text)
    shown = redactor.text(text)
    assert moved(0, spans) == 0
    assert moved(len(text), spans) == len(shown)
    if place < len(text) and not any(start <= place < end for start, end in spans):
        assert shown[moved(place, spans)] == text[place]


# --- parameters, headers, arguments, addresses


def test_parameters_are_written_by_an_allow_list() -> None:
    shown = public_params(
        {
            "temperature": 0.2,
            "max_tokens": 5,
            "seed": 7,
            "stop": ["END", "two words"],
            "response_format": {"type": "json_schema", "schema": {"name": "anything"}},
            "reasoning_effort": "high",
            "api_base": "http://user:hunter22hunter@host/v1?api-version=1&code=abc&foo=bar",
            "api_version": "2024-06-01",
            "api_key": KEY,
            "api_keys": ["a-one", "a-two"],
            "aws_secret_access_key": "a-b-c",
            "vertex_credentials": {"type": "service_account", "project_id": "p-roject"},
            "auth": {"user": "somebody", "pass": "pw"},
            "pin": 123456,
            "nobody_knows": "what it is",
            "nested": {"deep": [{"label": "blue-green"}], "number": 3, "on": True, "none": None},
            "extra_headers": {"X-Auth": "abcdefgh12345", "X-Team": "blue", "Accept": "a/b"},
            "thing": object,
            "empty": "",
            "constant": "auto",
        },
        Redactor(),
    )
    text = json.dumps(shown)
    assert (shown["temperature"], shown["max_tokens"], shown["seed"]) == (0.2, 5, 7)
    assert shown["stop"] == ["END", "two words"]
    assert shown["response_format"]["schema"] == {"name": "anything"}
    assert shown["api_base"] == (
        f"http://{REDACTED}@host/v1?api-version=1&code={REDACTED}&foo={REDACTED}"
    )
    assert shown["nested"] == {"deep": [{"label": REDACTED}], "number": 3, "on": True, "none": None}
    assert shown["extra_headers"] == {"X-Auth": REDACTED, "X-Team": REDACTED, "Accept": "a/b"}
    assert (shown["empty"], shown["constant"], shown["reasoning_effort"]) == ("", "auto", "high")
    for secret in (KEY, "a-one", "a-b-c", "p-roject", "somebody", "123456", "what it is", "blue"):
        assert secret not in text
    assert public_params(None, Redactor()) == {}


def test_the_user_says_what_else_is_written() -> None:
    allowed = LogValues(["nobody_knows", "options.greeting", "X-Team", "tree"])
    redactor = Redactor(allowed=allowed)
    shown = public_params(
        {
            "nobody_knows": "what it is",
            "greeting": "hello",
            "options": {"greeting": "hello", "other": "else"},
            "headers": {"x-team": "blue"},
            "tree": {"a": ["b", {"c": "d"}]},
        },
        redactor,
    )
    assert shown == {
        "nobody_knows": "what it is",
        "greeting": REDACTED,
        "options": {"greeting": "hello", "other": REDACTED},
        "headers": {"x-team": "blue"},
        "tree": {"a": ["b", {"c": "d"}]},
    }
    assert secrets_of({"nobody_knows": "random4random4"}, allowed) == ()


def test_secrets_among_parameters() -> None:
    found = secrets_of(
        {
            "api_key": "Bearer plain-key-of-mine",
            "vertex_credentials": {"private_key": "line-of-a-key", "type": "service_account"},
            "unknown": "r4nd0mr4nd0mr4nd0m",
            "style": "formal and polite",
            "label": "blue-green",
            "model": "claude-sonnet-4-20250514",
            "api_base": "https://someuser1:passw0rd1@host",
            "extra_headers": {"X-Anything": "anything-at-all", "Accept": "text/plain"},
        }
    )
    assert set(found) == {
        "Bearer plain-key-of-mine", "plain-key-of-mine", "line-of-a-key", "r4nd0mr4nd0mr4nd0m",
        "someuser1:passw0rd1", "passw0rd1", "anything-at-all",
    }  # fmt: skip
    assert all_of({"LICENCE": "blue-green", "LOG_LEVEL": "debug-all", "PORT": "12345678"}) == (
        "blue-green",
    )


def test_arguments_of_a_command() -> None:
    command = [
        "npx", "-y", "@scope/server@1.2", "--api-key", "s-e-c-r-e-t", "--token=t-o-k-e-n", "-m",
        "my.module", "--port", "8080", "trips_server.py", "./data/x", "--label", "blue green",
        "-e", "GITHUB_TOKEN", "PGPASSWORD=pw", "https://u:p@host/x", "r4nd0mr4nd0mr4nd0m",
        "--config", "config.yaml", "--verbose", "--token-file", "/run/secrets/x",
    ]  # fmt: skip
    assert public_arguments(command, Redactor()) == [
        "npx", "-y", "@scope/server@1.2", "--api-key", REDACTED, f"--token={REDACTED}", "-m",
        "my.module", "--port", "8080", "trips_server.py", "./data/x", "--label", REDACTED,
        "-e", "GITHUB_TOKEN", f"PGPASSWORD={REDACTED}", f"https://{REDACTED}@host/x", REDACTED,
        "--config", "config.yaml", "--verbose", "--token-file", "/run/secrets/x",
    ]  # fmt: skip
    assert {"s-e-c-r-e-t", "t-o-k-e-n", "r4nd0mr4nd0mr4nd0m"} <= set(argument_secrets(command))


def test_headers_are_written_by_an_allow_list() -> None:
    given_headers = [
        ("Content-Type", "application/json"),
        ("X-Request-Id", "req_1"),
        ("x-ratelimit-remaining-tokens", "12"),
        ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:00Z"),
        ("X-Stainless-Lang", "python"),
        ("X-Nobody-Knows", "value"),
        ("X-Count", "17"),
        ("Cookie", "a=b"),
        ("Ocp-Apim-Subscription-Key", "k"),
        ("Location", "https://x/?token=abc&page=1"),
    ]
    shown = dict(public_headers(given_headers, Redactor()))
    assert shown == {
        **dict(given_headers),
        "X-Nobody-Knows": REDACTED,
        "Cookie": REDACTED,
        "Ocp-Apim-Subscription-Key": REDACTED,
        "Location": f"https://x/?token={REDACTED}&page=1",
    }
    assert public_url("http://[bad", Redactor()) == "http://[bad"


def test_where_something_was_taken_out() -> None:
    data = {"a": [REDACTED, {"b": f"x {REDACTED}"}], "c": "d"}
    assert masked_places(data) == ["a.0", "a.1.b"]


# --- text in pieces


def streamed(redactor: Redactor, pieces: list[str]) -> str:
    stream = StreamRedactor(redactor)
    return "".join([*(stream.feed(piece) for piece in pieces), stream.rest()])


SPLIT = [
    "the key is hunter2 hunter2, really",
    "wörd1234 and wörd1234",
    f"it is {KEY} or so",
    "Authorization: Bearer abcdefgh1234, done",
    '{"password": "two words", "x": 1}',
    "postgres://u:pa55@db/x ok",
    "-----BEGIN PRIVATE KEY-----\nMIIabc\ndef==\n-----END PRIVATE KEY-----\nafter",
    SHAPES["jwt"] + " tail",
    base64.b64encode(b"user:hunter2 hunter2").decode() + " tail",
    "DB_PASS = hunter2 \nnext line",
    "run it with --api-key s3cret-1 --port 80",
    "nothing at all in here, not a thing",
]


@pytest.mark.parametrize("text", SPLIT)
def test_a_secret_in_two_pieces_is_the_secret(text: str) -> None:
    redactor = Redactor(["hunter2 hunter2", "wörd1234"])
    whole = redactor.text(text)
    for cut in range(len(text) + 1):
        assert streamed(redactor, [text[:cut], text[cut:]]) == whole, cut
    assert streamed(redactor, list(text)) == whole


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from([*SPLIT, "hunter2 ", "hunt", " ", "\n", "password", ": ", "=", "x" * 30]),
        max_size=6,
    ),
    st.lists(st.integers(1, 25), min_size=1, max_size=12),
)
def test_pieces_are_what_the_whole_would_be(parts: list[str], sizes: list[int]) -> None:
    text = "".join(parts)
    redactor = Redactor(["hunter2 hunter2", "wörd1234"])
    pieces = list(_cut(text, sizes))
    shown = streamed(redactor, pieces)
    assert "hunter2 hunter2" not in shown
    whole = redactor.cut_text(text)
    assert shown.replace(REDACTED, "") == whole.replace(REDACTED, "")


def _cut(text: str, sizes: list[int]) -> Iterator[str]:
    place = number = 0
    while place < len(text):
        size = sizes[number % len(sizes)]
        yield text[place : place + size]
        place += size
        number += 1


def test_what_breaks_off_in_a_secret_ends_before_it() -> None:
    redactor = Redactor(["hunter2 hunter2"])
    assert streamed(redactor, ["it is hunter2 hun"]) == "it is "
    assert streamed(redactor, ["it is hunt"]) == "it is hunt"
    assert redactor.cut_text("it is hunter2 hun") == "it is "


def test_little_is_held_back() -> None:
    """A stream is read while it comes: a word is held back at the most, and no finished line."""
    stream = StreamRedactor(Redactor(["hunter2 hunter2"]))
    assert stream.feed("one two thr") == "one two "
    assert stream.feed("ee\n") == "three\n"
    assert stream.held == 0
    assert stream.feed("日本語のことば") == "日本語のことば"


def test_a_word_without_an_end_is_held_back_up_to_a_limit() -> None:
    stream = StreamRedactor(Redactor())
    out = "".join(stream.feed("ab" * 500) for _ in range(100))
    assert len(out) > 80_000
    assert out + stream.rest() == "ab" * 50_000
    token = "sk-" + "a1" * 20_000
    stream = StreamRedactor(Redactor())
    shown = "".join(stream.feed(token[at : at + 997]) for at in range(0, len(token), 997))
    assert shown + stream.feed(" after") + stream.rest() == f"{REDACTED} after"


def test_events_of_which_each_has_a_part() -> None:
    def event(text: str) -> str:
        return "data: " + json.dumps({"id": "c1", "choices": [{"delta": {"content": text}}]})

    words = ["I ", "say hun", "ter2", " hunter", "2 to", " you"]
    body = "\n\n".join([*map(event, words), "data: [DONE]", ""])
    shown = masked_events(body, Redactor(["hunter2 hunter2"]))
    events = [json.loads(line[6:]) for line in shown.split("\n\n") if line.startswith("data: {")]
    said = "".join(one["choices"][0]["delta"]["content"] for one in events)
    assert said == f"I say {REDACTED} to you"
    assert len(events) == len(words)
    assert shown.split("\n\n")[0] == event("I ")
    assert masked_events("data: {bad\ndata: x\n\n", Redactor()) == "data: {bad\ndata: x\n\n"


# --- how long it takes


@pytest.mark.parametrize("beginning", shapes._BEGINNING.pattern.split(b"|"))
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_beginning_of_a_token_is_looked_for_in_much_text(
    beginning: bytes, data: st.DataObject
) -> None:
    text = data.draw(st.from_regex(beginning, fullmatch=True))
    assert shapes._has_sign(text)


@pytest.mark.parametrize("kind", SHAPES)
def test_a_token_in_much_text(kind: str) -> None:
    text = "x" * shapes._MUCH + "0" * shapes._MUCH
    assert redact(f"{text} {SHAPES[kind]}") == f"{text} [redacted]"
    assert Redactor().suspects(f"{text} {SHAPES[kind]}".encode())
    assert redact(text) is text


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        "password " * 20_000,
        "token_" * 30_000,
        '"' * 100_000,
        "://" * 50_000,
        "eyJ" + "a" * 200_000,
        "cookie: " * 20_000,
        "-----BEGIN PRIVATE KEY-----" * 5_000,
        "api_key = " * 20_000,
        "Bearer " * 20_000,
        "A_" * 100_000 + "TOKEN",
        "=" * 100_000 + "sig=",
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_long(text: str) -> None:
    begun = time.thread_time()
    Redactor(["hunter2 hunter2"]).text(text)
    assert time.thread_time() - begun < 5.0


def test_ordinary_records_are_passed_at_a_glance() -> None:
    record: dict[str, Any] = {
        "seq": 3, "t": 0.1, "type": "llm.response", "session": 1, "turn": 2, "side": "provider",
        "raw": "The ferry was cancelled, and I want my money back. " * 8, "finish_reason": "stop",
        "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}, "ttft": 0.2,
    }  # fmt: skip
    redactor = Redactor([f"a-secret-value-{number}" for number in range(10)])
    assert not redactor.suspects(json.dumps(record).encode())
