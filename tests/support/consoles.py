"""Looking at consoles' rows."""

from sqlalchemy import func, select

from ravada_web.extensions import db
from ravada_web.models import Console


def open_count() -> int:
    """How many consoles are open in the whole installation, as other processes see it now."""
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Console).where(Console.closed_at.is_(None))) or 0
