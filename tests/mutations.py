"""Seeded damage: what a message, a stored object or a variable may have become on its way."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

#: Stands for a row value or a credential: no sentence to people may repeat it.
CANARY = "KANARIENVOGEL-7391"

#: JSON texts that take the place of a value; some of them are no JSON.
TOKENS = [
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "-0", "0", "-1", "0.5", "true", "null",
    "1" + "0" * 17, "9223372036854775807", "9223372036854775808", "1" + "0" * 40, "1" + "0" * 5_000,
    '""', "[]", "{}", '"1"', "[[]]", '"\\ud800"', '"\\u0000"', '"\\uffff"', '"\ufeff"', '"é\u202e\u2028"',
    "[" * 150 + "]" * 150, "[" * 20_000, '{"a":' * 20_000, '"' + "x" * 20_000 + '"', "//", "'a'", "01", "+1",
    '"x\' OR 1=1; DROP TABLE flights; --"', '"%s {} $1 \\\\"', f'"{CANARY}"', f'{{"{CANARY}": "{CANARY}"}}',
    f'["{CANARY}", 1]', '"2026-13-45T99:99:99Z"', '"done"', '"chunk"', '"publish"', '"../../etc/passwd"',
]  # fmt: skip
KEYS = ["", "schema_version", "kind", "job", CANARY, "é", "__class__", "a" * 3_000]
VERSIONS = ["0", "-1", "2", "1" + "0" * 30, '"1"', "1.0", "1.5", "null", "[1]", "true"]


def damaged(raw: bytes, chance: random.Random) -> bytes:
    """Give what became of a JSON object: damage to its bytes, to its values, or both."""
    kinds: list[Callable[[bytes, random.Random], bytes]] = [_damage_values, _damage_values, _damage_bytes]
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        raw = chance.choice(kinds)(raw, chance)
    return raw


def _damage_bytes(raw: bytes, chance: random.Random) -> bytes:
    if not raw:
        return raw
    at, other = chance.randrange(len(raw)), chance.randrange(len(raw))
    first, last = sorted((at, other))
    return chance.choice(
        [
            raw[:at] + bytes([raw[at] ^ (1 << chance.randrange(8))]) + raw[at + 1 :],
            raw[:at] + chance.randbytes(chance.randrange(1, 5)) + raw[at:],
            raw[:at],
            raw[at:],
            raw[:first] + raw[last:],
            raw[:last] + raw[first:],
            raw + raw,
            b"",
            b"\xef\xbb\xbf" + raw,
            raw.decode("latin-1").encode("utf-16"),
        ]
    )


def _damage_values(raw: bytes, chance: random.Random) -> bytes:
    """Change one place of the tree; what is no JSON any more is damaged in its bytes."""
    try:
        tree = json.loads(raw)
    except (ValueError, RecursionError):
        return _damage_bytes(raw, chance)
    if not isinstance(tree, dict) or not tree:
        return chance.choice(TOKENS).encode(errors="surrogatepass")
    owner, key = chance.choice(_places(tree))
    token = chance.choice(TOKENS)
    what = chance.randrange(10)
    if what == 0:
        del owner[key]
        return json.dumps(tree).encode()
    if what == 1 and "schema_version" in tree:
        owner, key, token = tree, "schema_version", chance.choice(VERSIONS)
    added = ""
    if isinstance(owner, dict) and what in {2, 3}:
        # A field more, or the same one a second time, before or after it.
        name = key if what == 2 else chance.choice(KEYS)
        added = f"{json.dumps(name)}: {token}"
        fields = list(owner.items())
        fields.insert(chance.randrange(len(fields) + 1), ("@added@", "@value@"))
        owner.clear()
        owner.update(fields)
    else:
        owner[key] = "@value@"
    text = json.dumps(tree)
    text = text.replace('"@added@": "@value@"', added) if added else text.replace('"@value@"', token)
    return text.encode(errors="surrogatepass")


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Give every value of a tree as its owner and key."""
    if not isinstance(tree, dict | list):
        return []
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    return [place for key in keys for place in [(tree, key), *_places(tree[key])]]
