"""Outputs of chunks that change after their commit and before they are published."""

from __future__ import annotations

from collections.abc import Iterable

from tests.chaos.fault import Fault
from tests.chaos.trial import Trial


class OutputSpoilt(Fault):
    """A committed object is not what was committed: the job fails, and its retry scores the chunk anew."""

    reason = r"stored output of chunk \d+ .*skfleet retry"

    def strike(self, trial: Trial) -> None:
        commit = self.rng.choice(trial.wait_for(trial.commits, "a chunk is committed"))
        assert commit.output_key is not None
        self.key = commit.output_key
        #: Its commit is the only one that may change: a retry makes another.
        trial.spoilt.add(commit.chunk)
        self.spoil(trial)

    def spoil(self, trial: Trial) -> None:
        """Do it."""
        raise NotImplementedError

    def problems(self, trial: Trial) -> Iterable[str]:
        if self.key in {commit.output_key for commit in trial.commits()}:
            yield "the job succeeded with the object that was spoilt"


class OutputAltered(OutputSpoilt):
    """Somebody alters one bit."""

    def spoil(self, trial: Trial) -> None:
        raw = trial.place.cloud.store.get(self.key)
        at = self.rng.randrange(len(raw))
        trial.place.cloud.store.put(self.key, raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])


class OutputDeleted(OutputSpoilt):
    """Somebody deletes it."""

    def spoil(self, trial: Trial) -> None:
        trial.place.cloud.store.delete([self.key])
