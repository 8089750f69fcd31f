"""The skew policy decides which versions may read a bundle."""

from __future__ import annotations

import pytest

from skfleet_common.contracts.errors import BundleRefused
from skfleet_common.model.versions import LIBRARIES, SkewPolicy, check_versions, current_versions

HERE = {"python": "3.11.7", "scikit-learn": "1.9.1", "numpy": "2.4.6", "scipy": "1.17.1", "joblib": "1.6.0"}
BOOSTERS = {"lightgbm": "4.6.0", "xgboost": "3.1.0"}


def test_every_library_that_matters_is_recorded() -> None:
    assert set(current_versions()) == {"python", *LIBRARIES}


@pytest.mark.parametrize("policy", list(SkewPolicy))
def test_the_same_versions_pass_every_policy(policy: SkewPolicy) -> None:
    assert check_versions(HERE, policy=policy, here=HERE) == []


@pytest.mark.parametrize(
    ("change", "refusing"),
    [
        ({"scikit-learn": "1.9.3"}, {SkewPolicy.EXACT}),
        ({"scikit-learn": "1.8.1"}, {SkewPolicy.EXACT, SkewPolicy.PATCH}),
        ({"numpy": "2.3.0"}, {SkewPolicy.EXACT}),
        ({"numpy": "1.26.4"}, {SkewPolicy.EXACT, SkewPolicy.PATCH}),
        ({"scipy": "1.16.0"}, {SkewPolicy.EXACT}),
        ({"python": "3.13.1"}, set()),
        ({"lightgbm": "4.6.1"}, {SkewPolicy.EXACT}),
        ({"lightgbm": "4.5.0"}, {SkewPolicy.EXACT, SkewPolicy.PATCH}),
        ({"xgboost": "3.0.0"}, {SkewPolicy.EXACT, SkewPolicy.PATCH}),
    ],
)
def test_each_policy_refuses_what_it_names(change: dict[str, str], refusing: set[SkewPolicy]) -> None:
    here = HERE | BOOSTERS
    for policy in SkewPolicy:
        if policy in refusing:
            (library, then), *_ = change.items()
            with pytest.raises(
                BundleRefused, match=f"made with {library} {then}, but here is {here[library]}"
            ):
                check_versions({**HERE, **change}, policy=policy, here=here)
        else:
            check_versions({**HERE, **change}, policy=policy, here=here)


def test_a_host_without_the_model_s_own_library_is_told_which_it_lacks() -> None:
    with pytest.raises(BundleRefused, match=r"made with lightgbm 4\.6\.0, but here is none"):
        check_versions({**HERE, "lightgbm": "4.6.0"}, policy=SkewPolicy.PATCH, here=HERE)
    # What a model is not made of, no host needs.
    assert check_versions(HERE, policy=SkewPolicy.EXACT, here=HERE | BOOSTERS) == []


def test_a_lenient_policy_warns_of_what_another_would_refuse() -> None:
    made_with = {**HERE, "scikit-learn": "1.8.1"}
    assert check_versions(made_with, policy=SkewPolicy.WARN, here=HERE) == [
        "The bundle was made with scikit-learn 1.8.1, but here is 1.9.1."
    ]


def test_a_bundle_without_a_version_is_refused() -> None:
    with pytest.raises(BundleRefused, match="an unknown version"):
        check_versions({}, policy=SkewPolicy.PATCH, here=HERE)
