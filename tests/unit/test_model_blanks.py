"""Blanks at the end of texts: ``character(n)`` is the same wherever its rows come from."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pytest

from model_samples import open_again
from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.blanks import Blanks
from skfleet_common.model.bundle import Bundle
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.fit import fit_model
from skfleet_common.model.preflight import check_source

PADDED = ["AA ", "BBB", "C  ", None]
UNEVEN = ["AA ", "BB", "C", "AA"]


def column(warehouse_type: str) -> Column:
    return Column(name="code", warehouse_type=warehouse_type, dtype=LogicalDtype.TEXT)


def rows(codes: Sequence[str | None]) -> pa.Table:
    times = 15
    wins = [code == codes[0] for code in codes]
    return pa.table({"code": [*codes] * times, "won": wins * times})


def trained_on(codes: Sequence[str | None], *, warehouse_type: str = "text") -> Bundle:
    won = Column(name="won", warehouse_type="boolean", dtype=LogicalDtype.BOOLEAN)
    choices = FitChoices(name="codes", targets=("won",), model="DecisionTreeClassifier")
    return open_again(fit_model(rows(codes), columns=[column(warehouse_type), won], choices=choices))


def test_a_file_and_a_table_of_character_n_give_the_same_model() -> None:
    stripped = [code and code.rstrip() for code in PADDED]
    of_table, of_file = trained_on(stripped, warehouse_type="character(3)"), trained_on(PADDED)
    assert of_table.manifest.features == of_file.manifest.features
    assert of_table.manifest.provenance.fingerprint == of_file.manifest.provenance.fingerprint
    for bundle in (of_table, of_file):
        frame = pd.DataFrame({"code": PADDED})
        assert bundle.predict(frame).tolist() == [True, False, False, False]
        assert bundle.predict(frame.assign(code=stripped)).tolist() == [True, False, False, False]


def test_texts_of_several_lengths_keep_their_blanks_and_are_not_scored_where_they_are_lost() -> None:
    bundle = trained_on(UNEVEN)
    (feature,) = bundle.manifest.features
    assert (feature.blanks, feature.known_levels) == (Blanks.KEPT, ("AA", "AA ", "BB", "C"))
    assert check_source(bundle.manifest, [column("character varying(3)")]) == []
    with pytest.raises(Refused, match=r"is character\(3\), whose texts are read without the blanks"):
        check_source(bundle.manifest, [column("character(3)")])


def test_texts_without_blanks_at_their_end_fit_any_text_column() -> None:
    bundle = trained_on(["AA", "BBB", "C", None])
    assert bundle.manifest.features[0].blanks is None
    assert check_source(bundle.manifest, [column("character(3)")]) == []
