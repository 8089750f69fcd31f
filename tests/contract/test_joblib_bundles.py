"""A pickle is read only on a side that opted in, and never once it was altered."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression

from model_samples import fit_shop, shop_rows
from skfleet.fit_keywords import fit_choices
from skfleet.model_source import read_model_file
from skfleet.preflight import check_workers
from skfleet.registry import Registry
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.trust import Trust
from skfleet_common.contracts.errors import BundleRefused, NotReproducibleHere, Refused, UsageError
from skfleet_common.contracts.workers import WorkerPresence
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of, pack
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.model_file import ModelFormat
from skfleet_common.model.versions import SkewPolicy, current_versions
from skfleet_worker.models import Models
from skfleet_worker.outcomes import Blame, weigh

OPEN = Trust(allow_joblib=True)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A bundle that holds a pickle."""
    return pack(fit_shop(shop_rows(100), format=ModelFormat.JOBLIB, model="logistic_regression"))


class Trap:
    """Touches a file as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def registered(cloud: Cloud, files: dict[str, bytes]) -> str:
    digest = digest_of(files[MANIFEST_FILE])
    Registry(cloud.store, cloud.names).register("pickled", files, digest=digest)
    return digest


def test_client_and_worker_read_it_only_after_they_opted_in(
    cloud: Cloud, files: dict[str, bytes], tmp_path: Path
) -> None:
    digest = registered(cloud, files)
    with pytest.raises(NotReproducibleHere, match=r"--format joblib.* set SKFLEET_ALLOW_JOBLIB=true here"):
        Registry(cloud.store, cloud.names).open("pickled")
    with pytest.raises(NotReproducibleHere, match="set SKFLEET_ALLOW_JOBLIB=true here") as refusal:
        Models(cloud, tmp_path).open("pickled", digest)
    # Another worker may have opted in.
    assert weigh(refusal.value, attempt=1, max_attempts=5).blame is Blame.ATTEMPT
    one = Registry(cloud.store, cloud.names, OPEN).open("pickled").score(shop_rows(20)).outputs
    assert Models(cloud, tmp_path, OPEN).open("pickled", digest).score(shop_rows(20)).outputs.equals(one)


def test_an_altered_pickle_runs_nowhere(cloud: Cloud, files: dict[str, bytes], tmp_path: Path) -> None:
    digest = registered(cloud, files)
    sprung = tmp_path / "sprung"
    evil = pickle.dumps(Trap(sprung))
    cloud.store.put(cloud.names.bundle_file("pickled", digest, "model.joblib"), evil)
    with pytest.raises(BundleRefused, match=r"model\.joblib was altered"):
        Registry(cloud.store, cloud.names, OPEN).open("pickled")
    with pytest.raises(BundleRefused, match=r"model\.joblib was altered"):
        Models(cloud, tmp_path / "cache", OPEN).open("pickled", digest)
    assert not sprung.exists()
    pickle.loads(evil)  # noqa: S301  (the trap is one)
    assert sprung.exists()


def test_the_copy_on_a_host_that_was_altered_runs_no_more_than_the_original(
    cloud: Cloud, files: dict[str, bytes], tmp_path: Path
) -> None:
    digest = registered(cloud, files)
    Models(cloud, tmp_path, OPEN).open("pickled", digest)
    sprung = tmp_path / "sprung"
    (tmp_path / "models" / digest / "model.joblib").write_bytes(pickle.dumps(Trap(sprung)))
    assert Models(cloud, tmp_path, OPEN).open("pickled", digest).digest == digest
    assert not sprung.exists()


def presence(worker: str, *, allow_joblib: bool) -> WorkerPresence:
    return WorkerPresence(
        worker=worker,
        host="host",
        supervisor_pid=1,
        versions=current_versions(),
        allow_joblib=allow_joblib,
        seen_at=datetime.now(UTC),
    )


def test_the_preflight_knows_which_workers_read_pickles(files: dict[str, bytes]) -> None:
    manifest = FeatureManifest.from_json(files[MANIFEST_FILE])
    with pytest.raises(Refused, match=r"No live worker can score with model.*a: .*SKFLEET_ALLOW_JOBLIB"):
        check_workers([manifest], [presence("a", allow_joblib=False)])
    (warning,) = check_workers(
        [manifest], [presence("a", allow_joblib=False), presence("b", allow_joblib=True)]
    )
    assert warning.startswith("1 of 2 live workers cannot score with it. a: ")
    assert check_workers([manifest], [presence("b", allow_joblib=True)]) == []


def test_a_pickle_somebody_made_is_read_only_when_it_is_trusted(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(UsageError, match=r"is a pickle, which can run any code.*add --trust"):
        read_model_file(tmp_path / "model.pkl", trust=False, skew_policy=SkewPolicy.PATCH)
    assert not sprung.exists()


@pytest.mark.parametrize(("policy", "is_refused"), [("exact", True), ("patch", True), ("warn", False)])
def test_a_model_that_another_scikit_learn_fitted_is_taken_as_the_skew_policy_says(
    tmp_path: Path, policy: str, is_refused: bool
) -> None:
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    raw = pickle.dumps(model)
    (tmp_path / "model.pkl").write_bytes(raw.replace(current_versions()["scikit-learn"].encode(), b"1.2.3"))
    settings: dict[str, Any] = {"trust": True, "skew_policy": SkewPolicy(policy)}
    if not is_refused:
        assert read_model_file(tmp_path / "model.pkl", **settings).coef_.tolist() == model.coef_.tolist()
        return
    with pytest.raises(Refused, match=rf"was fitted with scikit-learn 1\.2\.3.* the skew policy {policy}"):
        read_model_file(tmp_path / "model.pkl", **settings)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"format": "pickle"}, "--format must be skops, joblib, not 'pickle'"),
        ({"skew_policy": "exac"}, "--skew-policy must be exact, patch, warn, not 'exac'; did you mean exact"),
    ],
)
def test_a_format_or_policy_that_is_none_is_refused(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        fit_choices(target="t", name="x", **asked)
