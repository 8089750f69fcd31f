"""Cutting: where a plan's CSV files are cut, with a cap on what is read of them for that."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from skfleet.files.csv_look import CsvLook
from skfleet.files.cuts import WhyNot, find_cut, windows_for
from skfleet.files.found import THREADS
from skfleet_common.aws.user_objects import UserObjects

#: What a plan reads for its cuts, whatever the rows and the chunks are, beside the windows that are under way
#: when it is reached. It is 4,096 windows of the usual size: a 10 GB file's slices have 2.6 MB at least.
PLAN_BYTES = 64 * 1024**2

#: How much larger than they might be slices are, before it is worth a note.
_NOTABLE = 1.2


@dataclass
class Cutting:
    """The cuts of files, one file after the other."""

    objects: UserObjects
    delimiter: str
    #: Bytes of the files whose cuts are still to be found.
    ahead_bytes: int
    #: Bytes that may still be read for them.
    left_bytes: int
    #: Why files that might have been cut were not.
    _uncut: dict[str, str] = field(default_factory=dict)
    #: Files whose slices are larger than was asked, for what may be read allows for no more of them.
    _coarse: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, looks: Iterable[CsvLook], objects: UserObjects, *, delimiter: str) -> Cutting:
        """Begin, with nothing read."""
        ahead = sum(look.found.size_bytes for look in looks if not look.whole_because)
        return cls(objects, delimiter, ahead_bytes=ahead, left_bytes=min(ahead, PLAN_BYTES))

    @property
    def notes(self) -> list[str]:
        """Which files would have been cut, and which in smaller slices."""
        said = []
        if self._uncut:
            (first, why), *others = self._uncut.items()
            said.append(f"{_with(first, len(others))} read whole, by one worker each: {why}.")
        if self._coarse:
            said.append(
                f"{_with(min(self._coarse), len(self._coarse) - 1)} cut into larger slices than --chunk-rows "
                f"asks for: a plan reads {PLAN_BYTES // 1024**2} MB at most to find cuts."
            )
        return said

    def cuts(self, look: CsvLook, *, chunk_rows: int, pool: ThreadPoolExecutor) -> list[int]:
        """Give places between records, about ``chunk_rows`` apart or more; none if the file is read whole."""
        size, name = look.found.size_bytes, str(look.found)
        windows = windows_for(look.row_bytes)
        asked_bytes = max(windows[0], round(chunk_rows * look.row_bytes))
        if look.whole_because:
            if size > asked_bytes:
                self._uncut[name] = look.whole_because
            return []
        cuts: list[int] = []
        place, window_bytes = 0, windows[0]
        # In waves: of a file that cannot be cut, no more is looked at than one of them, and each tells what
        # the windows of the next may take.
        while places := self._places(name, place, size, asked_bytes, window_bytes):
            found = list(pool.map(partial(self._find, look, windows), places))
            spent = sum(read for _, read in found)
            self.left_bytes -= spent
            self.ahead_bytes -= places[-1] - place
            place, window_bytes = places[-1], -(-spent // len(places))
            for cut, _ in found:
                if isinstance(cut, WhyNot):
                    self.ahead_bytes -= size - place
                    self._uncut[name] = cut.value
                    self._coarse.discard(name)
                    return []
                if cut is not None and (cuts[-1] if cuts else 0) < cut < size:
                    cuts.append(cut)
        self.ahead_bytes -= size - place
        return cuts

    def _places(self, name: str, place: int, size: int, asked_bytes: int, window_bytes: int) -> list[int]:
        """Give the next places to look at, so far apart that the windows of all to come may be read."""
        left = size - place
        wanted = max(asked_bytes, window_bytes)
        affordable = -(-window_bytes * self.ahead_bytes // self.left_bytes) if self.left_bytes > 0 else left
        if _NOTABLE * wanted < min(affordable, left):
            self._coarse.add(name)
        pieces = -(-left // max(wanted, affordable))
        return [place + left * piece // pieces for piece in range(1, min(pieces, THREADS + 1))]

    def _find(self, look: CsvLook, windows: tuple[int, ...], near: int) -> tuple[int | WhyNot | None, int]:
        """Give a cut, and the bytes that were read for it."""
        read = 0

        def fetch(first: int, stop: int) -> bytes:
            nonlocal read
            read += stop - first
            return self.objects.bytes_of(look.found, first, stop)

        cut = find_cut(
            fetch,
            near,
            windows=windows,
            size_bytes=look.found.size_bytes,
            delimiter=self.delimiter,
            width=len(look.names),
        )
        return cut, read


def _with(first: str, others: int) -> str:
    return f"{first} and {others:,} more are" if others else f"{first} is"
