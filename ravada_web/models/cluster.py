"""What is decided of the cluster as a whole."""

from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.extensions import db
from ravada_web.models.types import Size, Words


class Cluster(db.Model):
    """One row: whether room is kept for the loss of one node; how many MiB are missing for the loss of the node that is
    the hardest to lose, as last counted, and that in words."""

    __tablename__ = "cluster"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    keeps_reserve: Mapped[bool] = mapped_column(default=False)
    missing_mib: Mapped[Size] = mapped_column(default=0)
    reserve_news: Mapped[Words]
