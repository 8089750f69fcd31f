"""Another environment: this one with another scikit-learn, made once and kept below it."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("skewed_bundles.py")


@dataclass(frozen=True)
class OtherEnvironment:
    """An interpreter whose scikit-learn is another one."""

    python: Path

    def write(self, folder: Path) -> None:
        """Fit models and write a bundle for each policy."""
        self._run("write", folder)

    def open(self, folder: Path) -> dict[str, Any]:
        """Open every bundle and give what became of it."""
        outcomes: dict[str, Any] = json.loads(self._run("open", folder))
        return outcomes

    def _run(self, *words: object) -> str:
        ran = subprocess.run(
            [self.python, PROGRAM, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


#: The environment that the tests run in.
HERE = OtherEnvironment(Path(sys.executable))


def environment_with(scikit_learn: str) -> OtherEnvironment:
    """Give this environment with another scikit-learn in front of its own."""
    folder = Path(sys.prefix) / "skew" / f"scikit-learn-{scikit_learn}"
    if not folder.is_dir():
        folder.parent.mkdir(exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
        try:
            _make(part, ROOT / "requirements" / f"scikit-learn-{scikit_learn}.txt")
            part.rename(folder)
        except OSError:
            # Somebody else was first.
            if not folder.is_dir():
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return OtherEnvironment(folder / "bin" / "python")


def _make(folder: Path, requirements: Path) -> None:
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"),
            *("--require-hashes", "--disable-pip-version-check", "-r", str(requirements)),
        ],
        check=True,
        capture_output=True,
        timeout=240,
    )
    (own,) = folder.glob("lib/python*/site-packages")
    # Everything else is looked up here, after what is over there.
    lines = [f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages()]
    (own / "beside.pth").write_text("".join(lines))
