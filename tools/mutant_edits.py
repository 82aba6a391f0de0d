"""One wrong change of one function's source, found by its syntax: neither line numbers nor the layout matter."""

from __future__ import annotations

import ast
import dataclasses
import textwrap
from collections.abc import Iterator

NEGATED: dict[type[ast.cmpop], str] = {
    ast.Lt: ">=",
    ast.LtE: ">",
    ast.Gt: "<=",
    ast.GtE: "<",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
AT_THE_EDGE: dict[type[ast.cmpop], str] = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">"}

Function = ast.FunctionDef | ast.ClassDef


class EditError(ValueError):
    """An edit that does not change exactly one place; no mutant may come of it."""


@dataclasses.dataclass(frozen=True)
class Edited:
    """A source with one change, and the lines of the original one whose execution makes it felt."""

    source: str
    lines: frozenset[int]


def function_of(tree: ast.Module, qualified: str) -> ast.FunctionDef:
    """Return the one function of this qualified name, such as ``ThreeLayerLaw.first``."""
    found: list[Function] = [ast.ClassDef("", [], [], tree.body, [])]
    for name in qualified.split("."):
        found = [
            child
            for parent in found
            for child in parent.body
            if isinstance(child, ast.FunctionDef | ast.ClassDef) and child.name == name
        ]
    if len(found) != 1 or not isinstance(found[0], ast.FunctionDef):
        raise EditError(f"{qualified}: expected one function of this name, found {len(found)}")
    return found[0]


def replaced(source: str, qualified: str, old: str, new: str) -> Edited:
    r"""Replace the one expression, or statement, of a function that reads like `old`.

    Raises
    ------
    EditError
        If it occurs never or more than once, or nothing changes.

    Examples
    --------
    >>> code = "def f(x):\n    y = (x  +  1) * 2\n    return y"
    >>> print(replaced(code, "f", "x + 1", "x").source)
    def f(x):
        y = ((x)) * 2
        return y
    >>> print(replaced(code, "f", "y = (x + 1) * 2", "pass").source)
    def f(x):
        pass
        return y
    >>> replaced(code, "f", "x + 2", "x")
    Traceback (most recent call last):
    ...
    mutant_edits.EditError: f: 'x + 2' occurs 0 times, expected once
    """
    tree = ast.parse(source)
    body = function_of(tree, qualified).body
    wanted: ast.AST = ast.parse(old).body[0]
    statement = not isinstance(wanted, ast.Expr)
    if isinstance(wanted, ast.Expr):
        wanted = wanted.value
    dump = _shape(wanted)
    places = [
        node
        for outer in body
        for node in ast.walk(outer)
        if isinstance(node, ast.expr | ast.stmt) and _shape(node) == dump
    ]
    if len(places) != 1:
        raise EditError(f"{qualified}: {old!r} occurs {len(places)} times, expected once")
    indent = " " * places[0].col_offset
    text = textwrap.indent(new, indent).lstrip() if statement else f"({new})"
    return _checked(source, places[0], text, _lines(tree, places[0]), qualified)


def decorated(source: str, qualified: str, decorator: str) -> Edited:
    r"""Put a decorator right above a function, below those that it has.

    Examples
    --------
    >>> code = "class A:\n    @property\n    def f(self):\n        return 1"
    >>> print(decorated(code, "A.f", "twice").source)
    class A:
        @property
        @twice
        def f(self):
            return 1
    """
    tree = ast.parse(source)
    function = function_of(tree, qualified)
    lines = source.split("\n")
    indent = " " * function.col_offset
    lines.insert(function.lineno - 1, f"{indent}@{decorator}")
    felt = range(function.body[0].lineno, (function.end_lineno or function.lineno) + 1)
    return _different(source, "\n".join(lines), frozenset(felt), qualified)


def turned_round(source: str) -> Iterator[tuple[str, Edited]]:
    r"""Every decision of a file turned round, one at a time, with words that say which.

    Comparisons are negated and, apart from that, moved by their edge; ``and`` and ``or`` are exchanged; ``not`` is dropped; a
    bare condition is negated.

    Examples
    --------
    >>> for what, edited in turned_round("def f(x, y):\n    return x < 1 and not y"):
    ...     print(what, "|", edited.source.split("return ")[1])
    f: x < 1 and (not y) → x < 1 or (not y) | (x < 1 or (not y))
    f: x < 1 → x >= 1 | (x >= 1) and not y
    f: x < 1 → x <= 1 | (x <= 1) and not y
    f: not y → y | x < 1 and (y)
    """
    tree = ast.parse(source)
    for qualified, function in _functions(tree.body, ""):
        for outer in function.body:
            for node in ast.walk(outer):
                for new in _decisions(node):
                    assert isinstance(node, ast.expr)
                    what = f"{qualified}: {ast.unparse(node)} → {new}"
                    yield what, _checked(source, node, f"({new})", _lines(tree, node), qualified)


def _functions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield f"{prefix}{node.name}", node


def _decisions(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for table in (NEGATED, AT_THE_EDGE):
                if type(operator) in table:
                    yield _compared(node, place, table[type(operator)])
    elif isinstance(node, ast.BoolOp):
        word = " or " if isinstance(node.op, ast.And) else " and "
        yield word.join(_in_brackets(value) for value in node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        if not isinstance(node.operand, ast.Compare):
            yield ast.unparse(node.operand)
    elif isinstance(node, ast.expr) and getattr(node, "is_bare_condition", False):
        yield f"not {_in_brackets(node)}"
    if isinstance(node, ast.If | ast.IfExp | ast.While) and not isinstance(
        node.test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.NamedExpr
    ):
        node.test.is_bare_condition = True  # type: ignore[attr-defined]  # ast.walk comes to it after this node


def _in_brackets(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if isinstance(node, ast.Compare | ast.Name | ast.Attribute | ast.Call) else f"({text})"


def _compared(node: ast.Compare, place: int, operator: str) -> str:
    words = [ast.unparse(node.left)]
    for number, (op, right) in enumerate(zip(node.ops, node.comparators, strict=True)):
        plain = ast.unparse(ast.Compare(ast.Name("x"), [op], [ast.Name("y")]))[2:-2]
        words += [operator if number == place else plain, ast.unparse(right)]
    return " ".join(words)


def _shape(node: ast.AST) -> str:
    # A name that is written to and one that is read differ by their context alone.
    return ast.dump(node).replace("Store()", "Load()")


def _lines(tree: ast.Module, node: ast.AST) -> frozenset[int]:
    """Lines of the smallest statement that holds the node; of one that holds others, its head alone."""
    holders = [
        outer
        for outer in ast.walk(tree)
        if isinstance(outer, ast.stmt) and any(inner is node for inner in ast.walk(outer))
    ]
    holder = min(holders, key=lambda outer: (outer.end_lineno or 0) - outer.lineno)
    body = getattr(holder, "body", None)
    if body and not isinstance(node, ast.stmt):
        return frozenset(range(holder.lineno, max(holder.lineno + 1, body[0].lineno)))
    return frozenset(range(holder.lineno, (holder.end_lineno or holder.lineno) + 1))


def _checked(
    source: str, node: ast.expr | ast.stmt, text: str, lines: frozenset[int], qualified: str
) -> Edited:
    rows = [row.encode() for row in source.split("\n")]  # columns of the syntax tree count bytes
    assert node.end_lineno is not None
    first, last = node.lineno - 1, node.end_lineno - 1
    before, after = rows[first][: node.col_offset], rows[last][node.end_col_offset :]
    rows[first : last + 1] = [before + text.encode() + after]
    return _different(source, b"\n".join(rows).decode(), lines, qualified)


def _different(source: str, edited: str, lines: frozenset[int], qualified: str) -> Edited:
    try:
        tree = ast.parse(edited)
    except SyntaxError as error:
        raise EditError(f"{qualified}: the edited source is no Python: {error}") from None
    if ast.dump(tree) == ast.dump(ast.parse(source)):
        raise EditError(f"{qualified}: the edit changes nothing")
    return Edited(edited, lines)
