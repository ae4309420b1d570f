"""What is secret, and how it is kept out of everything that is written.

The only place that decides it: every writer of a log, a report, an export or a message for a
terminal goes through a `Redactor`, or through what this package says of parameters, headers,
arguments and addresses. Where each rule stands: `names` (what a name tells), `shapes` (well-known
tokens), `values` (what of an environment or of parameters is a secret), `forms` (how a secret may
be written), `redactor` (text and data), `stream` and
`events` (text in pieces), `masking` (parameters, headers,
arguments, addresses).
"""

from convtui.secrets.events import masked_events
from convtui.secrets.masking import (
    masked_places,
    public_arguments,
    public_header,
    public_headers,
    public_params,
    public_url,
)
from convtui.secrets.names import LogValues, is_harmless_name, is_secret_name
from convtui.secrets.redactor import CarefulRedactor, Redactor, moved, redact
from convtui.secrets.shapes import REDACTED
from convtui.secrets.stream import StreamRedactor
from convtui.secrets.values import all_of, argument_secrets, secret_values, secrets_of

__all__ = [
    "REDACTED",
    "CarefulRedactor",
    "LogValues",
    "Redactor",
    "StreamRedactor",
    "all_of",
    "argument_secrets",
    "is_harmless_name",
    "is_secret_name",
    "masked_events",
    "masked_places",
    "moved",
    "public_arguments",
    "public_header",
    "public_headers",
    "public_params",
    "public_url",
    "redact",
    "secret_values",
    "secrets_of",
]
