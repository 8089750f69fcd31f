"""The skew policy decides which versions may read a bundle."""

from __future__ import annotations

import pytest

from skfleet_common.contracts.errors import BundleRefused
from skfleet_common.model.versions import LIBRARIES, SkewPolicy, check_versions, current_versions

HERE = {"python": "3.11.7", "scikit-learn": "1.9.1", "numpy": "2.4.6", "scipy": "1.17.1", "joblib": "1.6.0"}


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
    ],
)
def test_each_policy_refuses_what_it_names(change: dict[str, str], refusing: set[SkewPolicy]) -> None:
    for policy in SkewPolicy:
        if policy in refusing:
            (library, then), *_ = change.items()
            with pytest.raises(
                BundleRefused, match=f"made with {library} {then}, but here is {HERE[library]}"
            ):
                check_versions({**HERE, **change}, policy=policy, here=HERE)
        else:
            check_versions({**HERE, **change}, policy=policy, here=HERE)


def test_a_lenient_policy_warns_of_what_another_would_refuse() -> None:
    made_with = {**HERE, "scikit-learn": "1.8.1"}
    assert check_versions(made_with, policy=SkewPolicy.WARN, here=HERE) == [
        "The bundle was made with scikit-learn 1.8.1, but here is 1.9.1."
    ]


def test_a_bundle_without_a_version_is_refused() -> None:
    with pytest.raises(BundleRefused, match="an unknown version"):
        check_versions({}, policy=SkewPolicy.PATCH, here=HERE)
