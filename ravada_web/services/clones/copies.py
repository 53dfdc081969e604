"""Copies of persistent clones: where they are, and how old."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneCopy


def copies_of(clone: Clone) -> Sequence[CloneCopy]:
    """The copies of a clone, the newest first."""
    query = select(CloneCopy).where(CloneCopy.clone_id == clone.id).options(joinedload(CloneCopy.node))
    return db.session.scalars(query.order_by(CloneCopy.made_at.desc(), CloneCopy.id)).all()
