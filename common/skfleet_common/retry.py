"""Retry policies, named for what they protect. Full jitter, so that a fleet does not return in step."""

from __future__ import annotations

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from skfleet_common.contracts.errors import SkfleetError


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, SkfleetError) and error.retryable


def warehouse_calls() -> Retrying:
    """For statements that may meet a restart or a reset: about ten seconds in all."""
    return Retrying(
        retry=retry_if_exception(_may_pass),
        wait=wait_random_exponential(multiplier=0.2, max=4),
        stop=stop_after_attempt(6),
        reraise=True,
    )


def cloud_calls() -> Retrying:
    """For what boto3 does not try again itself: bodies cut off, entries a batch left over, conflicts.

    About ten seconds in all, on top of boto3's own five attempts a request.
    """
    return Retrying(
        retry=retry_if_exception(_may_pass),
        wait=wait_random_exponential(multiplier=0.1, max=4),
        stop=stop_after_attempt(7),
        reraise=True,
    )
