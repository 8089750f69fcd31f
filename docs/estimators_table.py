"""The tables of docs/estimators.md, from what the code knows of each model before it is fitted."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from skfleet_common.model.estimators.asked import known_classes, of_class, parse_model
from skfleet_common.model.estimators.families import FAMILIES, NEEDS, SETTINGS
from skfleet_common.model.estimators.spaces import SPACES
from skfleet_common.model.estimators.traits import last_of, traits_of
from skfleet_common.model.preprocessing import Style

ESTIMATORS = Path(__file__).parent / "estimators.md"
_FAMILY_PART = re.compile(r"(<!-- families: .*? -->\n).*?(<!-- end of families -->)", re.DOTALL)
_CLASS_PART = re.compile(r"(<!-- classes: .*? -->\n).*?(<!-- end of classes -->)", re.DOTALL)
_STYLES = {Style.TREES: "codes", Style.LINEAR: "filled, scaled, one-hot"}


def answers_of_classes() -> dict[str, str]:
    """Give what each class of scikit-learn says beside its prediction, as ``OutputColumn.source`` has it."""
    said = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for name in known_classes():
            estimator = of_class(name)
            said[name] = (
                "probability"
                if hasattr(estimator, "predict_proba")
                else "decision"
                if hasattr(estimator, "decision_function")
                else "prediction"
            )
    # The estimator on top of the others is made in the fit.
    return said | {"StackingClassifier": "probability"}


def answers_if_asked() -> dict[str, list[str]]:
    """Give what each class says only when it is asked for."""
    said = {}
    kinds = {"decision": "decision_function", "transformed": "transform"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for name, usual in answers_of_classes().items():
            estimator = of_class(name)
            said[name] = [
                kind for kind, method in kinds.items() if hasattr(estimator, method) and kind != usual
            ]
    # Of several targets, there is no column a class; and what is on top of the others is made in the fit.
    return said | {"ClassifierChain": [], "StackingClassifier": ["decision", "transformed"]}


def families_table() -> str:
    """Give the predefined models, as Markdown."""
    rows = []
    for family in FAMILIES:
        model = parse_model(family)
        made = [
            type(last_of(prototype)).__name__
            for _, prototype in sorted(model.prototypes.items(), key=lambda item: item[0].value)
        ]
        suffix = " (`_classifier`, `_regressor`)" if len(made) > 1 else ""
        searched = ", ".join(f"`{name}`" for name in SPACES.get(made[0], {})) or "name a space"
        classes = ", ".join(f"`{name}`" for name in made)
        rows.append(f"| `{family}`{suffix} | {classes} | {_STYLES[model.style]} | {searched} |")
    head = ["| `--model` | scikit-learn | features | searched by default |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows]) + "\n"


def classes_table() -> str:
    """Give scikit-learn's classes, as Markdown."""
    rows = []
    answers, further = answers_of_classes(), answers_if_asked()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for name in known_classes():
            estimator = of_class(name)
            traits = traits_of(estimator)
            set_here = [f"`{key}={value!r}`" for key, value in SETTINGS.get(name, {}).items()]
            notes = [NEEDS[name]] if name in NEEDS else []
            notes += [f"set here: {', '.join(set_here)}"] if set_here else []
            rows.append(
                f"| `{name}` | {_STYLES[traits.style]} | {answers[name]} | "
                f"{', '.join(further[name])} | "
                f"{'yes' if traits.takes_weights else 'no'} | "
                f"{'together' if traits.takes_several_targets else 'one model each'} | "
                f"{'equal' if not traits.tolerance else f'{traits.tolerance:.0e}'} | {'; '.join(notes)} |"
            )
    head = [
        "| class | features | says beside the prediction | if asked | weights | several targets | replay "
        "| notes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows]) + "\n"


def estimators_as_they_should_be() -> str:
    """Give docs/estimators.md with its generated parts anew."""
    page = ESTIMATORS.read_text("utf-8")
    page = _FAMILY_PART.sub(lambda found: found[1] + families_table() + found[2], page)
    return _CLASS_PART.sub(lambda found: found[1] + classes_table() + found[2], page)
