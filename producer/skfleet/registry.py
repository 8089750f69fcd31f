"""The registry: bundles in S3, addressed by digest; each model's newest is named by ``latest``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from skfleet_common.aws.store import NoSuchObject, ObjectStore
from skfleet_common.aws.trust import NO_MORE, Trust
from skfleet_common.contracts.errors import EnvironmentFault, Refused, UsageError, nearest
from skfleet_common.contracts.names import FleetNames, check_name
from skfleet_common.contracts.shapes import StoredShape
from skfleet_common.model.bundle import (
    MANIFEST_FILE,
    Bundle,
    check_file,
    needed_files,
    open_bundle,
    read_manifest,
)
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.signature import SIGNATURE_FILE, Signature, read_signature

if TYPE_CHECKING:
    import pyarrow as pa

    from skfleet_common.aws.rows_at_hand import RowsAtHand

#: SHA-256 in hex; a shorter reference is a prefix.
DIGEST_LENGTH = 64


class Latest(StoredShape):
    """What ``models/<name>/latest`` holds."""

    digest: str
    registered_at: datetime


class Registry:
    """The models of one fleet."""

    def __init__(self, store: ObjectStore, names: FleetNames, trust: Trust = NO_MORE) -> None:
        self._store = store
        self._names = names
        self._trust = trust

    def register(self, name: str, files: Mapping[str, bytes], *, digest: str) -> None:
        """Store a packed bundle and make it the newest of its name. The same bundle twice is harmless."""
        check_name("model", name)
        # Before anything is stored, as the key may not be there.
        signature = None if self._trust.key is None else self._trust.key.sign(digest)
        for file in sorted(
            files, key=lambda file: file == MANIFEST_FILE
        ):  # the manifest last: it names the others
            self._store.put_new(self._names.bundle_file(name, digest, file), files[file])
        if signature is not None:
            self._store.put(self._names.bundle_file(name, digest, SIGNATURE_FILE), signature.to_json())
        self._point_latest(name, digest)

    def rows_of(self, name: str, digest: str, rows: Iterable[pa.RecordBatch]) -> RowsAtHand:
        """Give rows that a bundle's training made as a publisher takes them; they may pass by the bucket."""
        from skfleet_common.aws.rows_at_hand import RowsAtHand  # noqa: PLC0415  (pyarrow: --help need not wait)

        return RowsAtHand(rows, self._store, partial(self._names.load, f"train-{name}-{digest[:12]}"))

    def resolve(self, reference: str) -> tuple[str, str]:
        """Give the name and full digest of ``NAME`` (its newest) or ``NAME@<digest prefix>``.

        Raises:
            Refused: there is no such model, or the prefix is not of exactly one bundle.
        """
        name, _, prefix = reference.partition("@")
        check_name("model", name)
        if not prefix:
            return name, self._latest(name).digest
        found = [digest for digest in self.digests(name) if digest.startswith(prefix)]
        if len(found) == 1:
            return name, found[0]
        problem = "has no bundle" if not found else f"has {len(found)} bundles"
        raise Refused(
            f"Model {name} {problem} whose digest begins with {prefix}; "
            f"see its bundles with: skfleet models {name}"
        )

    def open(self, reference: str) -> Bundle:
        """Give the verified bundle: digests checked, versions checked, golden rows replayed.

        Raises:
            BundleRefused: it cannot be trusted or reproduced here.
        """
        name, digest = self.resolve(reference)
        manifest = self._read(name, digest, MANIFEST_FILE)
        self._trust.check_signature(lambda: self._optional(name, digest, SIGNATURE_FILE), digest=digest)
        files = {MANIFEST_FILE: manifest}
        described = read_manifest(manifest, digest=digest)
        self._trust.check_name(described.name, model=name, digest=digest)
        for listed in needed_files(described, digest=digest):
            files[listed.name] = self._read(name, digest, listed.name)
        return open_bundle(files, digest=digest, allow_joblib=self._trust.allow_joblib)

    def sign(self, name: str, digest: str) -> Signature:
        """Sign a bundle that is registered already, with the key of the settings.

        Raises:
            UsageError: they name none.
        """
        if self._trust.key is None:
            raise UsageError("No key is set to sign with; set SKFLEET_SIGNING_KEY.")
        self.manifest(name, digest)
        signature = self._trust.key.sign(digest)
        self._store.put(self._names.bundle_file(name, digest, SIGNATURE_FILE), signature.to_json())
        return signature

    def signature(self, name: str, digest: str) -> Signature | None:
        """Give a bundle's signature, unchecked; None if it has none."""
        raw = self._optional(name, digest, SIGNATURE_FILE)
        return None if raw is None else read_signature(raw, digest=digest)

    def file(self, name: str, digest: str, file: str) -> bytes | None:
        """Give a file that a bundle's manifest lists, checked against it; None if it lists none such."""
        for listed in self.manifest(name, digest).files:
            if listed.name == file:
                return check_file(self._read(name, digest, file), listed)
        return None

    def manifest(self, name: str, digest: str) -> FeatureManifest:
        """Give what is written about a bundle; the model itself is not read."""
        return read_manifest(self._read(name, digest, MANIFEST_FILE), digest=digest)

    def models(self) -> list[str]:
        """Give the names of all models."""
        return sorted(self._store.list_folders(self._names.models_prefix()))

    def digests(self, name: str) -> list[str]:
        """Give the digests of a model's bundles."""
        folders = self._store.list_folders(self._names.model_prefix(name))
        return [folder for folder in folders if len(folder) == DIGEST_LENGTH]

    def latest_digest(self, name: str) -> str:
        """Give the digest of a model's newest bundle."""
        return self._latest(name).digest

    def _latest(self, name: str) -> Latest:
        try:
            return Latest.from_json(self._store.get(self._names.latest(name)))
        except NoSuchObject as exc:
            known = self.models()
            hint = nearest(name, known)
            raise Refused(
                f"There is no model {name}; train it with skfleet train --name {name} or correct it{hint}"
            ) from exc

    def _point_latest(self, name: str, digest: str) -> None:
        key = self._names.latest(name)
        pointer = Latest(digest=digest, registered_at=datetime.now(UTC)).to_json()
        for _ in range(10):  # each lost race means that somebody else registered a bundle meanwhile
            try:
                _, tag = self._store.get_with_tag(key)
            except NoSuchObject:
                tag = None
            if self._store.replace(key, pointer, etag=tag):
                return
        raise EnvironmentFault(f"Model {name} is being registered by several others at once; try again.")

    def _optional(self, name: str, digest: str, file: str) -> bytes | None:
        try:
            return self._store.get(self._names.bundle_file(name, digest, file))
        except NoSuchObject:
            return None

    def _read(self, name: str, digest: str, file: str) -> bytes:
        try:
            return self._store.get(self._names.bundle_file(name, digest, file))
        except NoSuchObject as exc:
            raise Refused(
                f"Bundle {name}@{digest[:12]} lacks its file {file}; train or register the model again."
            ) from exc
