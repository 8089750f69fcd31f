"""EC2's instance metadata, version 2: what the host is told of its own end.

EC2 User Guide: "Use the Instance Metadata Service", "Spot Instance interruption notices", "EC2 instance
rebalance recommendations".
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

TOKEN_PATH = "/latest/api/token"  # noqa: S105  (a path)
SPOT_PATH = "/latest/meta-data/spot/instance-action"
REBALANCE_PATH = "/latest/meta-data/events/recommendations/rebalance"
#: Six hours are the most that a token may last.
TOKEN_SECONDS = 21_600
#: The metadata service is on the same host: no answer in this time is none.
TIMEOUT_SECONDS = 1.0
#: A spot notice comes two minutes before the end, best effort.
SPOT_NOTICE_SECONDS = 120.0
MAX_REPLY_BYTES = 65_536

#: What a call raises when there is no such service, or no sense in its reply.
METADATA_FAULTS = (OSError, HTTPException, ValueError)


@dataclass(frozen=True)
class _Reply:
    status: int
    body: str
    date: str | None


class InstanceMetadata:
    """A client that asks no proxy and follows no redirect; every call may raise METADATA_FAULTS."""

    def __init__(self, url: str) -> None:
        self._place = urlsplit(url).netloc
        self._token: str | None = None

    def spot_seconds(self) -> float | None:
        """Give the seconds until this spot instance is taken away; None: nobody said so."""
        reply = self._get(SPOT_PATH)
        return None if reply is None else _seconds_until_end(reply)

    def is_rebalance_recommended(self) -> bool:
        """Whether this spot instance is at more risk than others of being taken away."""
        return self._get(REBALANCE_PATH) is not None

    def _get(self, path: str) -> _Reply | None:
        """Give what stands at a path, or None."""
        reply = self._ask("GET", path, {"X-aws-ec2-metadata-token": self._token or self._new_token()})
        if reply.status == HTTPStatus.UNAUTHORIZED:  # The token is too old, or from before a hibernation.
            reply = self._ask("GET", path, {"X-aws-ec2-metadata-token": self._new_token()})
        if reply.status == HTTPStatus.NOT_FOUND:
            return None
        if reply.status != HTTPStatus.OK:
            raise ValueError(f"instance metadata answered {reply.status}")
        return reply

    def _new_token(self) -> str:
        reply = self._ask("PUT", TOKEN_PATH, {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)})
        if reply.status != HTTPStatus.OK:
            raise ValueError(f"instance metadata gives no token ({reply.status})")
        self._token = reply.body
        return reply.body

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> _Reply:
        with closing(HTTPConnection(self._place, timeout=TIMEOUT_SECONDS)) as connection:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            body = answer.read(MAX_REPLY_BYTES).decode()
            return _Reply(answer.status, body, answer.getheader("Date"))


def _seconds_until_end(reply: _Reply) -> float:
    """Compare the notice's time with that of the reply: both are of one clock, which need not be ours."""
    try:
        end = datetime.fromisoformat(json.loads(reply.body)["time"])
        seconds = (end - parsedate_to_datetime(reply.date or "")).total_seconds()
    except (ValueError, TypeError, KeyError):
        # A notice that cannot be read is one all the same.
        return SPOT_NOTICE_SECONDS
    return min(SPOT_NOTICE_SECONDS, max(0.0, seconds))
