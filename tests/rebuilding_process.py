"""A process that knows nothing but a bundle's files: it answers over a pipe what it builds and scores.

``python -m tests.rebuilding_process`` reads pickled requests from stdin and writes pickled answers to stdout.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]

#: scikit-learn adds all features up to see whether they are finite, which numbers near the largest are not.
SUMS_OF_LARGE_NUMBERS = [
    *("-W", "ignore:invalid value encountered in reduce:RuntimeWarning"),
    *("-W", "ignore:overflow encountered in reduce:RuntimeWarning"),
]


class RebuildingProcess:
    """The process, as the tests see it."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "error", *SUMS_OF_LARGE_NUMBERS, "-m", "tests.rebuilding_process"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(self, method: str, *arguments: Any) -> Any:
        """Give what ``method`` of the bundle that was opened last says."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump((method, arguments), self._process.stdin)
        self._process.stdin.flush()
        succeeded, answer = pickle.load(self._process.stdout)  # noqa: S301  (our own process)
        assert succeeded, answer
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def serve() -> None:
    """Answer until stdin ends."""
    import traceback  # noqa: PLC0415

    from skfleet_common.model.bundle import Bundle, open_bundle  # noqa: PLC0415

    bundle: Bundle | None = None
    while True:
        try:
            method, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301  (the test that started it)
        except EOFError:
            return
        try:
            if method == "open":
                folder, digest = arguments
                bundle = open_bundle(Path(folder), digest=digest)
                answer: Any = None
            else:
                assert bundle is not None
                answer = getattr(Answers, method)(bundle, *arguments)
        except Exception:  # noqa: BLE001  (the test shows it)
            reply = (False, traceback.format_exc())
        else:
            reply = (True, answer)
        pickle.dump(reply, sys.stdout.buffer)
        sys.stdout.buffer.flush()


class Answers:
    """What can be asked of a bundle."""

    @staticmethod
    def build(bundle: Any, table: Any) -> Any:
        """Give the feature array of a reader's rows, and the rows that are rejected."""
        built = bundle._scorer.builder.build(table)
        return built.X, built.rejects

    @staticmethod
    def features(bundle: Any, frame: Any) -> Any:
        """Give the feature array of a data frame."""
        return bundle.features(frame)

    @staticmethod
    def score(bundle: Any, parts: Any) -> Any:
        """Give the outputs of each part of the rows, and which rows were kept."""
        scored = [bundle.score(part) for part in parts]
        return [part.outputs for part in scored], [part.kept for part in scored]


if __name__ == "__main__":
    serve()
