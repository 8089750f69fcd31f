"""What operators do in the middle of a job: cancel it, twice at once; clean up; redrive dead letters."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

from tests.chaos.fault import Fault
from tests.chaos.faults.swap import InSwap
from tests.chaos.trial import Trial, WentWrong
from tests.chaos.verbs import insist

from skfleet.effect import Effect
from skfleet_common.contracts.states import JobState

TERMINALS = 2


class Cancelled(Fault):
    """Two terminals cancel the job at once; its table stays as it is, and the same is submitted again."""

    reason = "Cancelled by skfleet cancel"
    ends = JobState.CANCELLED
    # What is submitted again reads all rows anew.
    changes_rows = True

    def strike(self, trial: Trial) -> None:
        with ThreadPoolExecutor(TERMINALS) as terminals:
            self.effects = list(terminals.map(_cancel, repeat(trial, TERMINALS)))

    def has_hit(self, trial: Trial) -> bool:
        return any(effect.changed for effect in self.effects)


def _cancel(trial: Trial) -> Effect:
    return insist(trial, lambda: trial.place.fleet.job(trial.job).cancel())


def _clean_up(trial: Trial) -> None:
    """Remove whatever may go by now; nothing of the job may."""
    cloud = trial.place.cloud
    prefix = cloud.names.job_prefix(trial.job)
    before = set(cloud.store.list_keys(prefix))
    removed = insist(trial, lambda: trial.place.fleet.clean_up(older_than_days=0)).removed
    gone = before - set(cloud.store.list_keys(prefix))
    if gone or trial.job in {part.job for part in removed}:
        raise WentWrong(f"clean-up took {len(gone)} objects of a job that lives")


class CleanUp(Fault):
    """Clean-up of all ages, while chunks are scored."""

    def strike(self, trial: Trial) -> None:
        _clean_up(trial)


class CleanUpInSwap(InSwap):
    """The same, while the job is being published."""

    def strike(self, trial: Trial) -> None:
        self.swap.wait_for_backend()
        _clean_up(trial)


class Redriven(Fault):
    """Messages of chunks that nobody has begun become dead letters, and are redriven."""

    # A worker that is free attributes a dead letter as soon as it sees one, and that closes the chunk.
    may_fail = "chunk"

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        # Early, while there are such messages.
        self.when = rng.uniform(0.1, 0.4)

    def strike(self, trial: Trial) -> None:
        queue, dead_letters = trial.place.cloud.queue, trial.place.cloud.dead_letters
        self.buried = 0
        while deliveries := queue.receive():
            dead_letters.send([delivery.body for delivery in deliveries])
            for delivery in deliveries:
                queue.ack(delivery)
            self.buried += len(deliveries)
        done = insist(trial, trial.place.fleet.redrive)
        trial.say(f"{self.buried} messages were buried; redriven: {sum(done.sent.values())}")

    def has_hit(self, trial: Trial) -> bool:
        return self.buried > 0
