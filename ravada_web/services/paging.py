"""One page of a long list."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, func, select

from ravada_web.extensions import db

T = TypeVar("T")
PER_PAGE = 50


@dataclass(frozen=True)
class Page(Generic[T]):
    """`items` of page number `page` (from 1) of `pages`; `total` counts all."""

    items: Sequence[T]
    total: int
    page: int
    pages: int


def cut(rows: Sequence[T], page: int, per_page: int = PER_PAGE) -> Page[T]:
    """One page of a list that is at hand; a page past the end is the last one."""
    pages = max(1, -(-len(rows) // per_page))
    page = min(max(1, page), pages)
    return Page(rows[(page - 1) * per_page : page * per_page], len(rows), page, pages)


def natural(name: str) -> list[str | int]:
    """What to sort names by, so that node2 comes before node10."""
    return [int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", name)]


def paginate(query: Select[Any], page: int, per_page: int = PER_PAGE) -> Page[Any]:
    """One page of a query of one entity; a page past the end is the last one."""
    total = db.session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    pages = max(1, -(-total // per_page))
    page = min(max(1, page), pages)
    items = db.session.scalars(query.limit(per_page).offset((page - 1) * per_page)).unique().all()
    return Page(items, total, page, pages)
