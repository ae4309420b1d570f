"""What is secret, and how it is kept out of everything that is written.

The only place that decides it: every writer of a log, a report, an export or a message for a
terminal goes through a `Redactor`, or through what this package says of parameters, headers,
arguments and addresses. Where each rule stands: `names` (what a name tells), `shapes` (well-known
tokens), `values` (what of an environment or of parameters is a secret), `forms` (how a secret may
be written), `redactor` (text and data), `stream` and
`events` (text in pieces), `masking` (parameters, headers,
arguments, addresses).
"""
