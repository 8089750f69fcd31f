"""The courier: a proxy before microburst that plays what queues and networks do, by rules over HTTP.

microburst speaks of errors; what is missing there is about deliveries and replies: a message twice or out of
order, a poll that brings nothing, a receipt that deletes though it is stale, a reply that is lost although
the call was applied (also where the reply has no body), and a call that waits until it is let go on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web

#: Connection-bound headers, and those that aiohttp writes by itself.
_OF_THE_CONNECTION = frozenset(
    {"connection", "keep-alive", "te", "trailers", "transfer-encoding", "upgrade", "content-length", "expect"}
)
_S3_OPERATIONS = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
#: How microburst says that nobody listens behind it; a client without it would see the connection break.
_NOBODY_BEHIND = b"microburst: upstream"


@dataclass
class Rule:
    """What to do to which calls: ``times`` in all, every ``every``-th after the first ``skip``."""

    id: int
    kind: str
    service: str
    operations: list[str]
    #: Must occur in the body, or in the path.
    holds: str = ""
    times: int = 1_000_000
    skip: int = 0
    every: int = 1
    seed: int = 0
    seen: int = 0
    taken: int = 0
    #: Of the calls taken, those where there was something to do or to see.
    met: int = 0
    #: Calls that wait right now, and the local port of the client that made the last of them.
    waiting: int = 0
    client_port: int = 0
    #: What becomes of those that wait: empty while nothing is decided.
    verdict: str = ""
    decided: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, call: Call) -> bool:
        """Whether this call is one of the rule's."""
        if call.service != self.service or (self.operations and call.operation not in self.operations):
            return False
        if self.holds and self.holds not in call.path and self.holds.encode() not in call.body:
            return False
        self.seen += 1
        number = self.seen - self.skip
        if number <= 0 or number % self.every != 0 or self.taken >= self.times:
            return False
        self.taken += 1
        return True

    @contextmanager
    def holding(self, request: web.Request) -> Iterator[None]:
        """Count a call that waits, until it is carried on or dropped."""
        if request.transport is not None:
            self.client_port = request.transport.get_extra_info("peername")[1]
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    def shown(self) -> dict[str, Any]:
        """Give what the control API tells."""
        return {name: value for name, value in vars(self).items() if name != "decided"}


@dataclass
class Call:
    """One request to AWS."""

    service: str
    operation: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    async def of(cls, request: web.Request) -> Call:
        """Read a request; SQS and DynamoDB name the operation in a header."""
        prefix, _, operation = request.headers.get("X-Amz-Target", "").partition(".")
        service = {"AmazonSQS": "sqs", "DynamoDB_20120810": "dynamodb"}.get(prefix, "s3")
        return cls(
            service=service,
            operation=operation or _S3_OPERATIONS.get(request.method, request.method),
            method=request.method,
            path=request.rel_url.raw_path_qs,
            headers=_without_connection(request.headers),
            body=await request.read(),
        )

    def payload(self) -> dict[str, Any]:
        """Give the body of a JSON call."""
        loaded: dict[str, Any] = json.loads(self.body)
        return loaded


@dataclass
class Reply:
    """What came back; aborted replies never leave."""

    status: int
    headers: dict[str, str]
    body: bytes


class Courier:
    """Carries every call on, unless a rule has it otherwise."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._rules: list[Rule] = []
        self._next_id = 1
        self._session: ClientSession | None = None
        #: The newest receipt of a message, by any of its receipts.
        self._message_of: dict[str, str] = {}
        self._newest: dict[str, str] = {}

    def app(self) -> web.Application:
        """Give the application: the control API, and everything else."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.cleanup_ctx.append(self._connected)
        app.router.add_get("/_courier/rules", self._list)
        app.router.add_post("/_courier/rules", self._add)
        app.router.add_delete("/_courier/rules", self._clear)
        app.router.add_post("/_courier/rules/{id}/let", self._let)
        app.router.add_route("*", "/{path:.*}", self._carry)
        return app

    async def _connected(self, _app: web.Application) -> AsyncIterator[None]:
        async with ClientSession(timeout=ClientTimeout(total=120), auto_decompress=False) as session:
            self._session = session
            yield

    # Control.

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response([rule.shown() for rule in self._rules])

    async def _add(self, request: web.Request) -> web.Response:
        rule = Rule(id=self._next_id, **await request.json())
        self._next_id += 1
        self._rules.append(rule)
        return web.json_response(rule.shown())

    async def _clear(self, _request: web.Request) -> web.Response:
        for rule in self._rules:
            rule.verdict = rule.verdict or "on"
            rule.decided.set()
        self._rules.clear()
        return web.json_response({})

    async def _let(self, request: web.Request) -> web.Response:
        """Decide about the calls that a rule holds: ``on``, ``drop``, or ``lose`` (applied, no reply)."""
        number = int(request.match_info["id"])
        for rule in self._rules:
            if rule.id == number:
                rule.verdict = (await request.json())["verdict"]
                rule.decided.set()
        return web.json_response({})

    # Calls.

    async def _carry(self, request: web.Request) -> web.StreamResponse:
        call = await Call.of(request)
        rules = {rule.kind: rule for rule in self._rules if rule.takes(call)}
        if "empty" in rules:
            return web.json_response({}, content_type="application/x-amz-json-1.0")
        if "shuffle" in rules:
            _shuffle(call, random.Random(rules["shuffle"].seed))
        if "hold" not in rules:
            return await self._carry_on(request, call, rules, verdict="on")
        with rules["hold"].holding(request):
            await rules["hold"].decided.wait()
            return await self._carry_on(request, call, rules, verdict=rules["hold"].verdict)

    async def _carry_on(
        self, request: web.Request, call: Call, rules: dict[str, Rule], *, verdict: str
    ) -> web.StreamResponse:
        if verdict == "drop":
            return _hang_up(request)
        if "stale-works" in rules and self._renew_receipt(call):
            rules["stale-works"].met += call.operation == "DeleteMessage"
        if "twice" in rules:
            await self._forward(call)
        reply = await self._forward(call)
        if reply is None or verdict == "lose" or "lose" in rules:
            return _hang_up(request)
        if "stale-fails" in rules and reply.status == web.HTTPBadRequest.status_code:
            rules["stale-fails"].met += self._is_stale(call)
        self._remember_receipts(call, reply)
        if "reappear" in rules:
            await self._make_visible(call, reply)
        if "cut" in rules and reply.body:
            return await _cut(request, reply)
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    async def _forward(self, call: Call) -> Reply | None:
        """Give the reply; None when there is none, as seen by a client."""
        if self._session is None:
            raise RuntimeError("the courier has not started")
        try:
            async with self._session.request(
                call.method, self._upstream + call.path, headers=call.headers, data=call.body
            ) as answer:
                body = await answer.read()
        except (ClientError, TimeoutError):
            return None
        if answer.status == web.HTTPBadGateway.status_code and body.startswith(_NOBODY_BEHIND):
            return None
        return Reply(answer.status, _without_connection(answer.headers), body)

    # Receipts.

    def _remember_receipts(self, call: Call, reply: Reply) -> None:
        if call.operation != "ReceiveMessage" or reply.status != web.HTTPOk.status_code:
            return
        for message in _messages(reply):
            self._message_of[message["ReceiptHandle"]] = message["MessageId"]
            self._newest[message["MessageId"]] = message["ReceiptHandle"]

    def _is_stale(self, call: Call) -> bool:
        receipt = call.payload()["ReceiptHandle"]
        message = self._message_of.get(receipt)
        return message is not None and self._newest[message] != receipt

    def _renew_receipt(self, call: Call) -> bool:
        """Let a stale receipt stand for the newest one; False if it is not stale."""
        if not self._is_stale(call):
            return False
        payload = call.payload()
        newest = self._newest[self._message_of[payload["ReceiptHandle"]]]
        call.body = json.dumps(payload | {"ReceiptHandle": newest}).encode()
        return True

    async def _make_visible(self, call: Call, reply: Reply) -> None:
        """Let the queue deliver once more what it has just delivered, as standard queues sometimes do."""
        for message in _messages(reply):
            change = {
                "QueueUrl": call.payload()["QueueUrl"],
                "ReceiptHandle": message["ReceiptHandle"],
                "VisibilityTimeout": 0,
            }
            headers = call.headers | {"X-Amz-Target": "AmazonSQS.ChangeMessageVisibility"}
            await self._forward(
                Call(
                    "sqs", "ChangeMessageVisibility", "POST", call.path, headers, json.dumps(change).encode()
                )
            )


def _without_connection(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OF_THE_CONNECTION}


def _messages(reply: Reply) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads(reply.body).get("Messages", [])
    except ValueError:  # another fault has cut it
        return []
    return found


def _shuffle(call: Call, order: random.Random) -> None:
    payload = call.payload()
    order.shuffle(payload["Entries"])
    call.body = json.dumps(payload).encode()


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _cut(request: web.Request, reply: Reply) -> web.StreamResponse:
    """Announce the whole body and send half of it."""
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_length = len(reply.body)
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def main() -> None:
    """Listen on a port of 127.0.0.1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    words = parser.parse_args()
    web.run_app(Courier(words.upstream).app(), host="127.0.0.1", port=words.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
