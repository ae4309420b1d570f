"""Whether an endpoint's error says that the account is used up."""

from __future__ import annotations

import re

_QUOTA = re.compile(
    r"(?i)insufficient_quota|exceeded your current quota|billing_hard_limit|billing_not_active"
    r"|credit balance is too low|insufficient (?:balance|credits?|funds)|out of credits"
    r"|requires more credits"
)
_PERHAPS = re.compile(
    r"(?i)quota (?:has been |is |was )?exceeded|exceeded (?:your|the|its) [\w ]{0,30}quota"
    r"|\bbilling_\w+|\bbilling\b|payment required|out of (?:quota|funds)"
    r"|(?:spend(?:ing)?|usage|credit|budget) limit (?:has been |was |is )?(?:reached|exceeded)"
    r"|no credits? (?:left|remaining)|not enough credits?|exceeded (?:your|the) (?:\w+ )?budget"
)
_RATE = re.compile(
    r"(?i)\bper[ _-]?(?:second|minute|hour)|\b[rt]p[ms]\b|(?:try again|retry) (?:in|after) \d"
)
_STATUSES = (None, 402, 403, 429)
"""Under which a word such as "billing" means the account; None is an error without a status."""


def is_used_up(codes: str, text: str, *, retry_after: float | None, status: int | None) -> bool:
    """Whether no waiting helps. A rate limit is not that, although some call it a quota, too.

    `codes` are the codes and types of the error object, `text` its message.
    """
    whole = f"{codes} {text}"
    if "insufficient_quota" in codes or status == 402:
        return True
    if _RATE.search(text):
        return False
    if _QUOTA.search(whole):
        return True
    return retry_after is None and status in _STATUSES and _PERHAPS.search(whole) is not None
