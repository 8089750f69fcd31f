"""Files to learn from: what a path or a pattern names on this host."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from skfleet_common.contracts.errors import Refused, nearest

_PATTERN_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True)
class InputFile:
    """A file to read, on this host, under the name that the user knows it by."""

    path: Path
    label: str
    size_bytes: int

    def __post_init__(self) -> None:
        if self.size_bytes == 0:
            raise Refused(f"{self.label} is empty; name a file that has rows.")


def is_pattern(text: str) -> bool:
    """Whether a path or URL stands for several files."""
    return not _PATTERN_CHARACTERS.isdisjoint(text)


def local_files(text: str, *, flag: str) -> list[InputFile]:
    """Give the file of that path, else those that it matches as a pattern, by name.

    Raises:
        Refused: there is none, or one cannot be read.
    """
    path = Path(text).expanduser()
    if is_pattern(text) and not path.exists():
        found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207  (absolute patterns, and **)
        if not found:
            raise Refused(f"No file matches {text}; correct {flag}.")
        return [_file(Path(name), name, flag=flag) for name in found]
    return [_file(path, text, flag=flag)]


def refuse_same(files: Iterable[InputFile]) -> None:
    """Refuse a file that is there twice, by whatever paths.

    Raises:
        Refused: its rows would count twice.
    """
    known: dict[tuple[int, int], str] = {}
    for file in files:
        status = file.path.stat()
        identity = (status.st_dev, status.st_ino)
        first = known.get(identity)
        if first is not None:
            said = "is named twice" if first == file.label else f"is {first}, which is named already"
            raise Refused(f"{file.label} {said}; its rows would count twice, so name it once.")
        known[identity] = file.label


def _file(path: Path, label: str, *, flag: str) -> InputFile:
    try:
        status = path.stat()
    except FileNotFoundError as exc:
        hint = nearest(path.name, _neighbours(path))
        raise Refused(f"There is no file {label}; correct {flag}{hint}") from exc
    except OSError as exc:
        raise Refused(f"{label} cannot be read ({exc.strerror}); correct {flag}.") from exc
    if S_ISDIR(status.st_mode):
        raise Refused(f"{label} is a directory; name its files, for example {flag} '{label.rstrip('/')}/*'.")
    if not S_ISREG(status.st_mode):
        raise Refused(f"{label} is no regular file, and it is read twice; save it to a file first.")
    if not os.access(path, os.R_OK):
        raise Refused(f"{label} may not be read by this user; change its permissions, or copy it.")
    return InputFile(path=path, label=label, size_bytes=status.st_size)


def _neighbours(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return []


def label_of(files: Sequence[InputFile]) -> str:
    """Give the name of one file, or of the first and how many others there are."""
    others = len(files) - 1
    return files[0].label if not others else f"{files[0].label} and {others} more"
