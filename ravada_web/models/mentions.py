"""Searching messages as columns keep them: in their figures, and in the texts of their kinds."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Text, func, or_, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ravada_web.messages import Message
from ravada_web.messages.wording import kinds_saying


def mentions(column: InstrumentedAttribute[Message], text: str) -> ColumnElement[bool]:
    """Whether a message has this text, upper or lower case: in a figure, in a sentence that it keeps, or in what the
    reader's language says for its kind."""
    stored = type_coerce(column, Text)
    pattern = "".join(f"/{char}" if char in "/%_" else char for char in text)
    return or_(_FiguresLike(stored, f"%{pattern}%"), *_of_kinds(stored, kinds_saying(text)))


def _of_kinds(stored: ColumnElement[str], kinds: Iterable[str]) -> list[ColumnElement[bool]]:
    """A condition for all kinds of one length: most of them say "e", and SQLite takes no more than 1,000 in a row."""
    beginnings = sorted((f'{{"kind":"{kind}",' for kind in kinds), key=len)
    return [func.substr(stored, 1, length).in_(list(alike)) for length, alike in groupby(beginnings, key=len)]


class _FiguresLike(FunctionElement[bool]):
    """figures_like(column, pattern): a figure, at any depth, is LIKE the pattern (escaped by /), whatever its case."""

    type = Boolean()
    inherit_cache = True


@compiles(_FiguresLike, "sqlite")
def _by_json_tree(element: _FiguresLike, compiler: SQLCompiler, **options: Any) -> str:
    column, pattern = (compiler.process(clause, **options) for clause in element.clauses)
    tree = f"json_tree(CASE WHEN json_valid({column}) THEN {column} ELSE json_array({column}) END)"
    shown = "type IN ('text', 'integer', 'real') AND key IS NOT 'kind'"
    condition = f"{shown} AND lower(atom) LIKE lower({pattern}) ESCAPE '/'"
    return f"EXISTS (SELECT 1 FROM {tree} WHERE {condition})"  # noqa: S608  clauses that SQLAlchemy has compiled


@compiles(_FiguresLike, "postgresql")
def _without_names(element: _FiguresLike, compiler: SQLCompiler, **options: Any) -> str:
    """Kinds and names of figures are taken out; a quotation mark inside of a figure has a backslash before it."""
    column, pattern = (compiler.process(clause, **options) for clause in element.clauses)
    names = """'"kind":"[a-z0-9_.]*"|"[a-z0-9_]+":'"""
    figures = f"""replace(regexp_replace({column}, {names}, '', 'g'), '\\"', '"')"""
    return f"lower({figures}) LIKE lower({pattern}) ESCAPE '/'"
