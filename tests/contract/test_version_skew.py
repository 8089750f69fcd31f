"""Bundles between environments of other scikit-learn: allowed, warned of or refused, as the policy says.

The other environments are real ones, made by pip below the tests' own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sklearn
from tests.contract.other_environment import HERE, OtherEnvironment, environment_with

#: Another minor version than the tests' own, and another patch of the same.
OLDER, NEAR = "1.8.0", "1.9.0"


def outcomes(made_by: OtherEnvironment, opened_by: OtherEnvironment, folder: Path) -> dict[str, Any]:
    made_by.write(folder)
    bundles: dict[str, Any] = opened_by.open(folder)["bundles"]
    assert len(bundles) == 9
    return bundles


def check_another_minor(bundles: dict[str, Any], *, then: str, now: str) -> None:
    differ = re.escape(f"made with scikit-learn {then}, but here is {now}")
    for name, found in bundles.items():
        policy = name.split()[-1]
        if policy in {"exact", "patch"}:
            assert (found["outcome"], found["why"]) == ("refused", "NotReproducibleHere")
            assert re.search(f"{differ}, which its skew policy {policy} does not allow", found["said"])
        elif name.startswith("gradient_boosting"):
            # Its loss moved: lenient as the policy is, the model cannot be read.
            assert found["outcome"] == "refused"
            assert re.search(
                f"skew policy is warn, but its model cannot be read here.*{differ}", found["said"]
            )
        else:
            assert (found["outcome"], found["scored"]) == ("warned", 20)
            assert re.search(differ, found["said"][0])


def check_another_patch(bundles: dict[str, Any]) -> None:
    by_policy: dict[str, set[str]] = {policy: set() for policy in ("exact", "patch", "warn")}
    for name, found in bundles.items():
        by_policy[name.split()[-1]].add(found["outcome"])
    assert by_policy == {"exact": {"refused"}, "patch": {"allowed"}, "warn": {"allowed"}}


def test_a_bundle_of_another_minor_version_is_refused_or_warned_of(tmp_path: Path) -> None:
    bundles = outcomes(environment_with(OLDER), HERE, tmp_path)
    check_another_minor(bundles, then=OLDER, now=sklearn.__version__)


@pytest.mark.slow
def test_an_older_environment_takes_a_bundle_of_this_one_no_better(tmp_path: Path) -> None:
    bundles = outcomes(HERE, environment_with(OLDER), tmp_path)
    check_another_minor(bundles, then=sklearn.__version__, now=OLDER)


@pytest.mark.slow
@pytest.mark.parametrize("outwards", [True, False])
def test_a_bundle_of_another_patch_version_is_refused_by_exact_alone(tmp_path: Path, outwards: bool) -> None:
    near = environment_with(NEAR)
    check_another_patch(outcomes(*((HERE, near) if outwards else (near, HERE)), tmp_path))
