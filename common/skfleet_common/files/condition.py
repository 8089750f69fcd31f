"""Conditions: ``--where`` of files, from SQL to the predicate that their rows are asked.

It is never sent to a database: a tree is built of what is allowed here, and everything else is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlglot import exp
from sqlglot.dialects import Dialect
from sqlglot.errors import SqlglotError

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused, nearest, shown
from skfleet_common.files.column_predicates import Comparison, Flag, IsNull, Like
from skfleet_common.files.literals import Written, value_of
from skfleet_common.files.predicates import Constant, Is, Not, Predicate, Several
from skfleet_common.tables.tokens import MAX_CHARACTERS

#: Deeper ones would exhaust the parser's stack.
MAX_DEPTH = 15

_OPERATORS = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
#: What nodes of these kinds may hold beside what they are made of here.
_PARTS = {
    exp.Column: {"this"},
    exp.Between: {"this", "low", "high"},
    exp.In: {"this", "expressions"},
    exp.Is: {"this", "expression", "negate"},
    exp.Like: {"this", "expression", "negate"},
    exp.Cast: {"this", "to"},
}
_ALLOWED = (
    "--where of files may compare columns with numbers, texts and moments (=, <>, <, <=, >, >=, BETWEEN, IN, "
    "LIKE, IS NULL), joined by AND, OR and NOT"
)


def check_condition(text: str, columns: Mapping[str, LogicalDtype], *, label: str) -> Predicate:
    """Read what a user wrote; as a text, the predicate is what a job's spec stores.

    Raises:
        Refused: it is no condition, asks for a column that is not there, or does what is not allowed here.
    """
    if not text.strip():
        raise Refused("--where is empty; leave it out to take all rows.")
    if len(text) > MAX_CHARACTERS:
        raise Refused(f"--where is longer than {MAX_CHARACTERS} characters; leave rows out of the files.")
    return read_condition(text, columns, label=label)


def read_condition(text: str, columns: Mapping[str, LogicalDtype], *, label: str) -> Predicate:
    """Read a condition over the columns of the file ``label``.

    Raises:
        Refused: as :func:`check_condition`.
    """
    try:
        parsed = Dialect.get_or_raise("postgres").parse_into(exp.Condition, text)
        if len(parsed) != 1 or not isinstance(parsed[0], exp.Expression):
            raise _no_condition()
        return _Reader(columns, label).predicate(parsed[0])
    except SqlglotError as exc:
        raise _no_condition() from exc
    except RecursionError as exc:
        raise _too_deep() from exc


class _Reader:
    """The columns of a file, and what may be asked of them."""

    def __init__(self, columns: Mapping[str, LogicalDtype], label: str) -> None:
        self._columns = columns
        self._label = label

    def predicate(self, node: Any, depth: int = 0) -> Predicate:
        """Give the condition that a node is."""
        if depth > MAX_DEPTH:
            raise _too_deep()
        node = _bare(node)
        _refuse_more(node)
        read = _KINDS.get(type(node))
        if read is None:
            raise _foreign(node)
        return _negated(node, read(self, node, depth + 1))

    def _several(self, node: Any, depth: int) -> Predicate:
        parts = tuple(self.predicate(part, depth) for part in _joined(node, type(node)))
        return Several("AND" if isinstance(node, exp.And) else "OR", parts)

    def _constant(self, node: Any, _depth: int) -> Predicate:
        return Constant(bool(node.this) if isinstance(node, exp.Boolean) else None)

    def _between(self, node: Any, _depth: int) -> Predicate:
        least = self._compared(node.this, ">=", node.args["low"])
        return Several("AND", (least, self._compared(node.this, "<=", node.args["high"])))

    def _in(self, node: Any, _depth: int) -> Predicate:
        given = node.expressions
        if len(given) > 1 and self._column(_bare(node.this))[1] is LogicalDtype.FLOAT32:
            # PostgreSQL gives several numbers a real column's precision, and one alone a double's.
            given = [_as_text(it) for it in given]
        each = tuple(self._compared(node.this, "=", it) for it in given)
        return each[0] if len(each) == 1 else Several("OR", each)

    def _comparison(self, node: Any, _depth: int) -> Predicate:
        operator, left, right = _OPERATORS[type(node)], _bare(node.this), _bare(node.expression)
        if isinstance(left, exp.Column) and isinstance(right, exp.Column):
            raise Refused(f"{_ALLOWED}, and not one column with another ({shown(node.sql('postgres'))}).")
        if isinstance(right, exp.Column):
            return self._compared(right, _MIRRORED.get(operator, operator), left)
        return self._compared(left, operator, right)

    def _compared(self, column: Any, operator: str, literal: Any) -> Predicate:
        column, literal = _bare(column), _bare(literal)
        name, dtype = self._column(column)
        if isinstance(literal, exp.Null):
            return Constant(None)
        written = _written(literal)
        return Comparison(name, operator, value_of(written, dtype, column=name), written.sql)

    def _flag(self, node: Any, _depth: int) -> Predicate:
        name, dtype = self._column(node)
        if dtype is not LogicalDtype.BOOLEAN:
            raise Refused(f"--where has column {shown(name)!r}, which is no boolean; compare it.")
        return Flag(name)

    def _is(self, node: Any, depth: int) -> Predicate:
        of, truth = _bare(node.this), node.expression
        if isinstance(truth, exp.Null) and isinstance(of, exp.Column):
            return IsNull(self._column(of)[0])
        if isinstance(truth, exp.Null | exp.Boolean):
            return Is(self.predicate(of, depth), None if isinstance(truth, exp.Null) else bool(truth.this))
        raise _foreign(node)

    def _like(self, node: Any, _depth: int) -> Predicate:
        name, dtype = self._column(_bare(node.this))
        pattern = _bare(node.expression)
        if dtype is not LogicalDtype.TEXT:
            raise Refused(
                f"--where asks LIKE of column {shown(name)!r}, which is no text; compare it otherwise."
            )
        if not isinstance(pattern, exp.Literal) or not pattern.is_string:
            raise _foreign(pattern)
        text = pattern.this
        if (len(text) - len(text.rstrip("\\"))) % 2:
            raise Refused("--where has a LIKE pattern that ends with a backslash; write two of them.")
        return Like(name, text, _written(pattern).sql)

    def _column(self, node: Any) -> tuple[str, LogicalDtype]:
        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
            raise _foreign(node)
        _refuse_more(node)
        name = node.this.this
        if name not in self._columns and not node.this.quoted and name.lower() in self._columns:
            name = name.lower()
        if name not in self._columns:
            known = nearest(name, list(self._columns))
            raise Refused(f"--where asks for a column {shown(name)}, but {self._label} has none{known}")
        if self._columns[name] is LogicalDtype.OTHER:
            raise Refused(f"--where asks for column {shown(name)!r}, whose type has no order; leave it out.")
        return name, self._columns[name]


#: How nodes are read; of all others, nothing is.
_KINDS: dict[type, Callable[[_Reader, Any, int], Predicate]] = {
    exp.And: _Reader._several,
    exp.Or: _Reader._several,
    exp.Not: lambda reader, node, depth: Not(reader.predicate(node.this, depth)),
    exp.Boolean: _Reader._constant,
    exp.Null: _Reader._constant,
    exp.Column: _Reader._flag,
    exp.Is: _Reader._is,
    exp.Like: _Reader._like,
    exp.Between: _Reader._between,
    exp.In: _Reader._in,
    **dict.fromkeys(_OPERATORS, _Reader._comparison),
}


def _written(node: Any) -> Written:
    """Give a literal as it was written."""
    is_negative = isinstance(node, exp.Neg)
    literal = node.this if is_negative else node
    if isinstance(literal, exp.Literal) and not literal.is_string:
        return Written(number=("-" if is_negative else "") + literal.this)
    if isinstance(node, exp.Boolean):
        return Written(truth=bool(node.this))
    if isinstance(node, exp.Literal):
        return Written(text=node.this)
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and node.this.is_string:
        _refuse_more(node)
        return Written(text=node.this.this, type=node.to.sql("postgres"))
    raise _foreign(node)


def _as_text(node: Any) -> Any:
    """Give a number as a text, which is read as the column's type."""
    number = _bare(node)
    is_number = isinstance(number, exp.Neg) or (isinstance(number, exp.Literal) and not number.is_string)
    return exp.Literal.string(_written(number).number) if is_number else node


def _joined(node: Any, kind: Any) -> Iterator[Any]:
    """Give the parts of a chain, which may be longer than the stack is deep."""
    pending: list[Any] = [node]
    while pending:
        it = pending.pop()
        if type(it) is kind:
            pending += [it.expression, it.this]
        else:
            yield it


def _negated(node: Any, predicate: Predicate) -> Predicate:
    return Not(predicate) if node.args.get("negate") else predicate


def _bare(node: Any) -> Any:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _refuse_more(node: Any) -> None:
    """Refuse a node that says more than is read of it: another table, a subquery, SYMMETRIC."""
    allowed = _PARTS.get(type(node))
    if allowed is not None and any(value for name, value in node.args.items() if name not in allowed):
        raise _foreign(node)


def _foreign(node: Any) -> Refused:
    found = shown(node.sql("postgres")) if isinstance(node, exp.Expression) else "this"
    return Refused(f"{_ALLOWED}; {found} is not allowed.")


def _no_condition() -> Refused:
    return Refused("--where is not one boolean expression; write a condition such as month <= 9.")


def _too_deep() -> Refused:
    return Refused(
        f"--where is nested more than {MAX_DEPTH} deep; write it flatter, or leave rows out of the files."
    )
