"""Models: a bundle is downloaded once a host, verified whenever it is opened, and kept open by digest."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import structlog

from skfleet_common.aws.session import Cloud
from skfleet_common.aws.store import NoSuchObject
from skfleet_common.aws.trust import NO_MORE, Trust
from skfleet_common.contracts.errors import BundleRefused, NotReproducibleHere
from skfleet_common.model.bundle import MANIFEST_FILE, Bundle, needed_files, open_bundle, read_manifest
from skfleet_common.model.signature import SIGNATURE_FILE
from skfleet_worker.folders import locked

#: Open bundles a scorer; two jobs that alternate must not load their models for every chunk.
KEPT_OPEN = 3
#: How long a scorer waits for another one's download before it downloads for itself.
PATIENCE_SECONDS = 30.0

log = structlog.get_logger()


class Models:
    """The bundles that a scorer has open, over the files that all scorers of the host share."""

    def __init__(self, cloud: Cloud, cache: Path, trust: Trust = NO_MORE) -> None:
        self._cloud = cloud
        self._trust = trust
        self._folder = cache / "models"
        self._open: OrderedDict[str, Bundle] = OrderedDict()
        self._kept = KEPT_OPEN

    def keep(self, bundles: int) -> None:
        """Keep so many bundles open at least: those of one job must not push each other out."""
        self._kept = max(KEPT_OPEN, bundles)

    def open(self, model: str, digest: str) -> Bundle:
        """Give the bundle, verified against its digest.

        Raises:
            BundleRefused: a file of it is not in the store, its bytes are not those of the digest, or its
                signature is not right.
            NotReproducibleHere: this host's versions are not those that it wants; another host's may be.
        """
        if digest in self._open:
            self._open.move_to_end(digest)
            self._trust.check_name(self._open[digest].manifest.name, model=model, digest=digest)
            return self._open[digest]
        # The host's copy is not asked: who can write there could also have signed it away.
        self._trust.check_signature(lambda: self._signature(model, digest), digest=digest)
        bundle = self._open_files(model, digest)
        self._trust.check_name(bundle.manifest.name, model=model, digest=digest)
        self._open[digest] = bundle
        while len(self._open) > self._kept:
            self._open.popitem(last=False)
        return bundle

    def _open_files(self, model: str, digest: str) -> Bundle:
        folder, is_fresh = self._fetched(model, digest)
        try:
            return self._open_folder(folder, digest)
        except NotReproducibleHere:
            raise  # its bytes are right
        except BundleRefused:
            if is_fresh:
                self._discard(folder)
                raise
        # The host's copy may be damaged where the original is not.
        log.warning("bundle.fetched_again", digest=digest)
        self._discard(folder)
        return self._open_folder(self._fetched(model, digest)[0], digest)

    def _open_folder(self, folder: Path, digest: str) -> Bundle:
        return open_bundle(folder, digest=digest, allow_joblib=self._trust.allow_joblib)

    def _signature(self, model: str, digest: str) -> bytes | None:
        try:
            return self._cloud.store.get(self._cloud.names.bundle_file(model, digest, SIGNATURE_FILE))
        except NoSuchObject:
            return None

    def _fetched(self, model: str, digest: str) -> tuple[Path, bool]:
        """Give the folder with the bundle's files, and whether this call downloaded them."""
        folder = self._folder / digest
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / f"{digest}.lock", patience_seconds=PATIENCE_SECONDS):
            if folder.is_dir():
                return folder, False
            part = Path(tempfile.mkdtemp(dir=self._folder, prefix=".part-"))
            try:
                self._download(model, digest, part)
                _settle(part, folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return folder, True

    def _download(self, model: str, digest: str, folder: Path) -> None:
        """Copy the manifest, and the files that it lists once it is known to be the right one."""
        with _named(model, digest, MANIFEST_FILE):
            manifest = self._cloud.store.get(self._cloud.names.bundle_file(model, digest, MANIFEST_FILE))
        # Refuses any other list of files: a name that comes from elsewhere never becomes a path here.
        files = needed_files(read_manifest(manifest, digest=digest), digest=digest)
        (folder / MANIFEST_FILE).write_bytes(manifest)
        for file in files:
            with _named(model, digest, file.name):
                key = self._cloud.names.bundle_file(model, digest, file.name)
                self._cloud.store.download(key, folder / file.name)

    def _discard(self, folder: Path) -> None:
        """Take a copy away in one step, so that nobody finds half of it."""
        away = Path(tempfile.mkdtemp(dir=self._folder, prefix=".part-"))
        with contextlib.suppress(FileNotFoundError):
            folder.rename(away / folder.name)
        shutil.rmtree(away, ignore_errors=True)


@contextlib.contextmanager
def _named(model: str, digest: str, name: str) -> Iterator[None]:
    """Say of which bundle a file is gone, and what brings it back."""
    try:
        yield
    except NoSuchObject as exc:
        raise BundleRefused(
            f"Bundle {model}@{digest[:12]} lacks its file {name} in the store; put it back or register the "
            "model again, then take the job up with skfleet retry, or submit it with the new model."
        ) from exc


def _settle(part: Path, folder: Path) -> None:
    """Make a finished download the host's copy, unless a process that had the lock too long just did."""
    try:
        part.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
