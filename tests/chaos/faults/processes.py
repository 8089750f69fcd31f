"""Processes that are killed: a scorer, a supervisor, the producer while it sends, the publisher."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import ClassVar

from tests.chaos.fault import Fault, Moment
from tests.chaos.faults.swap import InSwap
from tests.chaos.trial import Trial


class ScorerKilled(Fault):
    """SIGKILL of a scorer in the middle of its chunk."""

    def strike(self, trial: Trial) -> None:
        trial.a_reader().scorer.kill()


class ScorerKilledBetween(Fault):
    """SIGKILL of a scorer between two steps that no transaction holds together."""

    #: The call that is never made.
    call: ClassVar[tuple[str, str, str]]
    #: Which of such calls; all chunks make one.
    skip: ClassVar[int] = 2
    moment = Moment.SUBMITTING

    def strike(self, trial: Trial) -> None:
        service, operation, holds = self.call
        self.rule = trial.place.wire.add("hold", service, operation, holds=holds, skip=self.skip, times=1)
        self.victim: int | None = None

    def is_over(self, trial: Trial) -> bool:
        return bool(trial.place.wire.rule(self.rule)["waiting"])

    def mend(self, trial: Trial) -> None:
        found = trial.place.wire.rule(self.rule)
        if found["waiting"] and (who := trial.who_is_at(found["client_port"])):
            who[1].kill()
            self.victim = who[1].pid
            trial.struck_at = time.monotonic()
        trial.place.wire.let(self.rule, "drop")

    def has_hit(self, trial: Trial) -> bool:
        return self.victim is not None


class ScorerKilledBeforeCommit(ScorerKilledBetween):
    """Its output is stored, and no commit says so."""

    call = ("dynamodb", "PutItem", "commit#")


class ScorerKilledBeforeClimb(ScorerKilledBetween):
    """Its chunk is committed, and the completion tree has not heard of it."""

    call = ("dynamodb", "UpdateItem", "ADD #done")


class ScorerKilledBeforePublishMessage(ScorerKilledBetween):
    """The job is complete, and nobody has been asked to publish it."""

    call = ("sqs", "SendMessageBatch", "publish")
    skip = 0


class SupervisorKilled(Fault):
    """SIGKILL of a supervisor whose scorer is in the middle of its chunk; another worker takes its place."""

    def strike(self, trial: Trial) -> None:
        worker = trial.a_reader().worker
        worker.kill()
        worker.start()


class ProducerKilled(Fault):
    """SIGKILL of the process that submits, in the middle of its messages; then the job is resumed."""

    moment = Moment.SUBMITTING
    submits = True

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        #: Whether the call that it was in still reaches the queue.
        self.reaches = self.rng.random() < 0.5

    def strike(self, trial: Trial) -> None:
        wire = trial.place.wire
        # Ten messages a call: the second one is under way when the producer dies.
        rule = wire.add("hold", "sqs", "SendMessageBatch", skip=self.rng.choice([0, 1]), times=1)
        environment = trial.place.environment | {"CHAOS_REQUEST": trial.request_as_json()}
        with (trial.place.folder / "producer.log").open("ab") as log:
            producer = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.producer"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            trial.wait_for(
                lambda: wire.rule(rule)["waiting"] or producer.poll() is not None,
                "the producer sends",
                within_seconds=60.0,
            )
        finally:
            producer.kill()
            producer.wait()
        wire.let(rule, "lose" if self.reaches else "drop")


class PublisherKilled(InSwap):
    """SIGKILL of whoever publishes, in mid-swap."""

    #: Whether the worker's supervisor dies, too.
    whole_worker: ClassVar[bool] = False

    def strike(self, trial: Trial) -> None:
        worker, scorer = self.swap.wait_for_publisher()
        if self.whole_worker:
            worker.kill()
            worker.start()
        else:
            scorer.kill()


class PublishersWorkerKilled(PublisherKilled):
    """The same, with the supervisor of the publisher."""

    whole_worker = True


class PublisherKilledAfterCommit(Fault):
    """SIGKILL of the publisher when its output is there, and the tracker has not heard of it."""

    moment = Moment.PUBLISHED

    def arm(self, trial: Trial) -> None:
        self.rule = trial.place.wire.add("hold", "dynamodb", "UpdateItem", holds="SUCCEEDED", times=1)
        self.was_held = False

    def strike(self, trial: Trial) -> None:
        wire = trial.place.wire
        trial.wait_for(lambda: wire.rule(self.rule)["waiting"], "the publisher tells the tracker")
        self.was_held = True
        for entry in trial.said("publish.started")[-1:]:
            for worker in trial.place.workers:
                if worker.said("publish.started", since=trial.logs_from[worker.name])[-1:] == [entry]:
                    for scorer in worker.scorers():
                        scorer.kill()
        wire.let(self.rule, "drop")

    def has_hit(self, trial: Trial) -> bool:
        return self.was_held
