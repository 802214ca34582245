"""How often each key may call each operation, where TRANSCODER_RATE_LIMITS says so.

Each call costs the time between two calls at the sustained rate, and a row says until when the
key's calls of the operation are paid for. That moment may be ahead of now by the cost of a whole
burst; a key that kept still has saved nothing up beyond that (the "generic cell rate algorithm",
ITU-T I.371). Amazon's rates: API 2012-09-25, "Limits".
"""

from __future__ import annotations

import time

from django.conf import settings
from django.db.models import BigIntegerField, F, QuerySet, Value
from django.db.models.functions import Greatest

from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.models import CallRate

# What stands for every operation that is not named, each with a row of its own.
OTHERS = "*"
# So far apart may the clocks of two machines be.
CLOCKS_DIFFER_US = 1_000_000


def check(key_id: int, operation: str) -> None:
    """Count one call; raises ApiError ThrottlingException when it comes too early.

    One conditional update decides, so calls at the same moment cannot share one place. A call
    that is refused costs nothing. Without a limit for the operation no row is touched.
    """
    limits = settings.TRANSCODER_RATE_LIMITS
    limit = limits.get(operation, limits.get(OTHERS))
    if limit is None:
        return
    per_second, burst = limit
    cost_us = max(1, round(1_000_000 / per_second))
    now_us = time.time_ns() // 1000
    latest_us = now_us + (burst - 1) * cost_us
    row = CallRate.objects.filter(key_id=key_id, operation=operation)
    if _pay(row, latest_us, now_us, cost_us):
        return
    paid_until_us = row.values_list("paid_until_us", flat=True).first()
    if paid_until_us is None:
        first = CallRate(key_id=key_id, operation=operation)
        CallRate.objects.bulk_create([first], ignore_conflicts=True)
    if paid_until_us is None or paid_until_us <= latest_us:
        # There was no row a moment ago; now there is, ours or that of a call beside us.
        if _pay(row, latest_us, now_us, cost_us):
            return
        paid_until_us = row.values_list("paid_until_us", flat=True).get()
    whole_burst_us = latest_us + cost_us
    if paid_until_us > whole_burst_us + CLOCKS_DIFFER_US:
        # Paid under a limit that was tighter, or by a clock that has been set back since.
        row.filter(paid_until_us=paid_until_us).update(paid_until_us=whole_burst_us)
        paid_until_us = whole_burst_us
    wait_us = paid_until_us - latest_us
    raise ApiError(
        "ThrottlingException",
        f"Rate exceeded: {operation} may be called {per_second:g} times a second, "
        f"{burst} times at once.",
        retry_after_s=max(1, -(-wait_us // 1_000_000)),
    )


def _pay(row: QuerySet[CallRate], latest_us: int, now_us: int, cost_us: int) -> bool:
    now = Value(now_us, output_field=BigIntegerField())
    paid = Greatest(F("paid_until_us"), now) + cost_us
    return row.filter(paid_until_us__lte=latest_us).update(paid_until_us=paid) == 1
