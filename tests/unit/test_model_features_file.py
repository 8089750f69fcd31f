"""The features file is read safely, and what is wrong in it is named with its line, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from skfleet.fit_keywords import fit_choices
from skfleet_common.contracts.errors import UsageError
from skfleet_common.model.feature_choices import AskedKind
from skfleet_common.model.features_file import MAX_BYTES, parse_features, read_features
from skfleet_common.model.policies import Fill, NullPolicy, Scale, UnseenPolicy

WHOLE = """
defaults:
  nulls: reject_row
  rare: 10
  scale: robust
columns:
  carrier: {unseen: error, rare: 20, tolerated_unseen: 0.1}
  flight:
    kind: category
    fill: {constant: 0}
  dep_delay: {fill: median, scale: none}
  distance: {fill: -1.5}
  time_hour: {parts: [hour, weekday]}
  year: {kind: exclude}
"""


def test_everything_that_can_be_asked_is_read() -> None:
    asked = parse_features(WHOLE, source="f.yaml")
    assert (asked.defaults.nulls, asked.defaults.rare) == (NullPolicy.REJECT_ROW, 10)
    assert (asked.of("carrier").unseen, asked.of("carrier").tolerated_unseen) == (UnseenPolicy.ERROR, 0.1)
    assert asked.named(AskedKind.CATEGORY) == ("flight",)
    assert asked.of("flight").fill == asked.of("flight").fill
    fills = {name: asked.of(name).fill for name in asked.columns}
    assert fills["flight"] is not None
    assert (fills["flight"].fill, fills["flight"].constant) == (Fill.CONSTANT, 0)
    assert fills["dep_delay"] is not None
    assert fills["dep_delay"].fill is Fill.MEDIAN
    assert fills["distance"] is not None
    assert fills["distance"].constant == -1.5
    assert asked.of("dep_delay").scale is Scale.NONE
    assert asked.of("time_hour").parts == ("hour", "weekday")
    assert asked.of("never spoken of").kind is None


def test_the_example_of_the_documentation_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "features.md").read_text("utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    asked = parse_features(example, source="docs/features.md")
    assert asked.defaults.rare == 10
    assert asked.named(AskedKind.EXCLUDE) == ("year",)


def test_the_keyword_of_training_takes_a_file_or_what_one_holds(tmp_path: Path) -> None:
    path = tmp_path / "features.yaml"
    path.write_text("columns: {a: {rare: 7}}")
    for given in (path, str(path), {"columns": {"a": {"rare": 7}}}):
        assert fit_choices(target="y", name="m", features=given).features.of("a").rare == 7
    assert fit_choices(target="y", name="m").features.columns == {}


def test_a_mapping_says_the_same_as_a_file() -> None:
    given = {"columns": {"flight": {"kind": "category", "rare": 3}, "year": None}}
    text = "columns:\n  flight: {kind: category, rare: 3}\n  year:\n"
    assert read_features(given) == parse_features(text, source="f.yaml")


@pytest.mark.parametrize(
    "name", ["no", "on", "1", "1.0", "null", "~", "2024-01-01", "0x10", "a: b", "x=y", "", "日本"]
)
def test_a_column_may_be_called_what_yaml_takes_for_something_else(name: str) -> None:
    quoted = f'"{name}"' if name in {"", "a: b"} else name
    assert list(parse_features(f"columns:\n  {quoted}: {{rare: 2}}\n", source="f.yaml").columns) == [name]


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "columns:\n", "defaults:\ncolumns:\n  a:\n", "{}"])
def test_a_file_that_asks_for_nothing_asks_for_nothing(text: str) -> None:
    asked = parse_features(text, source="f.yaml")
    assert asked.of("a").model_dump(exclude_none=True) == {}


WRONG = {
    "columns:\n  a:\n    kindd: category\n": "line 3: 'kindd' is nothing that can be asked of a.*mean kind",
    "columns:\n  a:\n    kind: categry\n": "line 3: kind of a must be number.*'categry'; did you mean",
    "columns:\n  a: {fill: medain}\n": "line 2: fill of a must be none, median.*not 'medain'",
    "columns:\n  a: {fill: .nan}\n": "fill of a must be .* a finite number",
    "columns:\n  a: {fill: {constant: .inf}}\n": "fill of a must be",
    "columns:\n  a: {fill: 1e300}\n": "fill of a must be .* a finite number",
    f"columns:\n  a: {{fill: 1{'0' * 400}}}\n": "fill of a must be",
    f"columns:\n  a: {{fill: 1{'0' * 5_000}}}\n": "no YAML that can be read",
    "columns:\n  a: {fill: {constant: [1]}}\n": "fill of a must be",
    "columns:\n  a: {rare: 1.5}\n": "line 2: rare of a must be a whole number, not '1.5'",
    "columns:\n  a: {rare: -1}\n": "rare of a should be greater than or equal to 0",
    "columns:\n  a: {tolerated_unseen: 2}\n": "less than or equal to 1",
    "columns:\n  a: {parts: [hour, 3]}\n": "part 2 of parts of a must be text, not '3'",
    "columns:\n  a: {parts: []}\n": "parts of a must not be empty",
    "columns:\n  a: {parts: hour}\n": "parts of a must be a list",
    "columns:\n  a: {nulls: sometimes}\n": "nulls of a must be missing, error, reject_row",
    "columns:\n  a: 5\n": "a must be a mapping, not '5'",
    "columns: [1]\n": "columns must be a mapping",
    "column:\n": "'column' is nothing that can be asked; use columns, defaults; did you mean columns",
    "defaults: {kind: number}\n": "line 1: 'kind' is nothing that can be asked; use fill, nulls",
    "- 1\n": "f.yaml must be a mapping with columns and defaults",
    "columns:\n  a: {}\n  a: {}\n": "line 3: 'a' is there twice",
    "a: &x 1\nb: *x\n": "line 2: anchors are not read",
    "? [a]\n: 1\n": "line 1: a name must be text",
    "a: !!python/object/apply:os.system [touch /tmp/x]\n": "f.yaml.* no YAML|is nothing that can be asked",
    "columns:\n  a: {fill: !!python/name:os.system }\n": "line 2 is no YAML that can be read",
    "a: [\n": "is no YAML that can be read",
    "\tx: 1": "line 1 is no YAML that can be read",
    "a: b: c": "line 1 is no YAML that can be read",
    "[" * 100_000: "goes more than 10 levels deep",
    "columns:\n  a: {nulls: 2024-99-99}\n": "is no YAML that can be read",
    "\x00": "is no YAML that can be read",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named_in_one_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=WRONG[text]) as caught:
        parse_features(text, source="f.yaml")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("f.yaml")


def test_a_file_that_expands_without_end_is_refused_at_once() -> None:
    laughs = "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(50))
    with pytest.raises(UsageError, match="anchors are not read"):
        parse_features(laughs, source="f.yaml")


def test_a_file_that_cannot_be_read_is_refused_by_its_name(tmp_path: Path) -> None:
    missing, latin, large = tmp_path / "missing.yaml", tmp_path / "latin.yaml", tmp_path / "large.yaml"
    latin.write_bytes("columns: {Köln: {rare: 2}}".encode("latin-1"))
    large.write_bytes(b"#" * (MAX_BYTES + 1))
    for path, why in (
        (missing, "cannot be read"),
        (latin, "not UTF-8"),
        (large, "larger"),
        (tmp_path, "read"),
    ):
        with pytest.raises(UsageError, match=why) as caught:
            read_features(path)
        assert str(path) in str(caught.value)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfcolumns: {a: {rare: 2}}")
    assert read_features(path).of("a").rare == 2
