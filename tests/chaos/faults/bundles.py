"""A bundle that is deleted or altered in the middle of a job, met by a worker that has not opened it."""

from __future__ import annotations

import shutil

from tests.chaos.fault import Fault
from tests.chaos.trial import Trial
from tests.integration.worker_fleet import MODEL

from skfleet_common.model.bundle import MODEL_FILE


class BundleSpoilt(Fault):
    """The stored bundle is not what it was, and no host has a copy: its scorers start anew and ask for it."""

    needs_new_bundle = True

    def strike(self, trial: Trial) -> None:
        cloud = trial.place.cloud
        self.key = cloud.names.bundle_file(MODEL, trial.digest, MODEL_FILE)
        self.raw = cloud.store.get(self.key)
        self.spoil(trial)
        for worker in trial.place.workers:
            shutil.rmtree(worker.cache / "models" / trial.digest, ignore_errors=True)
            for scorer in worker.scorers():
                scorer.kill()

    def spoil(self, trial: Trial) -> None:
        """Do it."""
        raise NotImplementedError

    def mend(self, trial: Trial) -> None:
        trial.place.cloud.store.put(self.key, self.raw)


class BundleDeleted(BundleSpoilt):
    """Somebody deletes the model's file."""

    reason = "lacks its file model.skops .*skfleet retry"

    def spoil(self, trial: Trial) -> None:
        store = trial.place.cloud.store
        store.client.delete_object(Bucket=store.bucket, Key=self.key)


class BundleAltered(BundleSpoilt):
    """Somebody alters the model's file."""

    reason = "model.skops was altered"

    def spoil(self, trial: Trial) -> None:
        at = self.rng.randrange(len(self.raw))
        trial.place.cloud.store.put(self.key, self.raw[:at] + bytes([self.raw[at] ^ 1]) + self.raw[at + 1 :])
