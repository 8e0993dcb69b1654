"""Limits of rate: how often something may be asked for in a minute, counted for all processes together (ADR 0007)."""

from __future__ import annotations

import math
from dataclasses import replace
from enum import Enum

from service import trace
from service.context import Context
from service.errors import RateLimited
from service.trace import Allowance


class Rate(Enum):
    """What is counted, by the name of the setting that says how often it may be."""

    LOGIN = "login_rate"
    LOGIN_OF_ACCOUNT = "login_account_rate"
    REGISTRATION = "registration_rate"
    REFRESH = "refresh_rate"
    TOKEN = "token_rate"  # noqa: S105 - no secret
    PASSWORD = "password_rate"  # noqa: S105 - no secret


async def spend(context: Context, rate: Rate, whose: str) -> None:
    """Count one attempt of somebody: an address, an account, or the two together.

    Raises:
        RateLimited: there were too many in this minute; this one counts, too.
    """
    if not context.settings.rate_limit_enabled:
        return
    counted = await context.rates.count(f"{rate.value} {whose}")
    limit: int = getattr(context.settings, rate.value)
    allowance = Allowance(limit, max(0, limit - counted.count), max(1, math.ceil(counted.seconds_left)))
    _tell(allowance)
    if counted.count > limit:
        raise RateLimited(retry_after_seconds=allowance.reset_seconds)


def spent(seconds: int) -> None:
    """Let the answer's headers say that nothing is left for so long, for a reason other than a rate."""
    current = trace.current.get()
    if current.allowance is not None:
        current.allowance = replace(current.allowance, remaining=0, reset_seconds=seconds)


def _tell(allowance: Allowance) -> None:
    """Let the answer's headers say the allowance, unless another one of the request is nearer to its end."""
    current = trace.current.get()
    told = current.allowance
    if told is None or allowance.remaining <= told.remaining:
        current.allowance = allowance
