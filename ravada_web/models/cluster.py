"""What is decided of the cluster as a whole."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.extensions import db
from ravada_web.models.types import Moment, Size, Words


class Cluster(db.Model):
    """One row: whether room is kept for the loss of one node; how many MiB are missing for the loss of the node that is
    the hardest to lose, as last counted, and that in words.

    And how its nodes are rebalanced: so many moves `at_once`; a desktop that has moved rests for so many hours; by
    itself `over` so many percent of imbalance (None: never) for so many minutes, in the name of who decided that.
    `imbalance` is as last counted, in percent, by `uneven_looks` of one a minute that found too much in a row.

    And by which rule nodes could rest: the share that is kept free, the hours between two changes of a node, between
    which hours of a day (alike: all day long), and whether all day long on Saturdays and Sundays. They do so in the
    name of `rest_user_id` (None: never); `rest_looks` of one a minute in a row found that some may; for a request that
    was refused at `lack_at` one is woken. `rested_hours` and `rested_kwh` are of all rests that are over.
    """

    __tablename__ = "cluster"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    keeps_reserve: Mapped[bool] = mapped_column(default=False)
    missing_mib: Mapped[Size] = mapped_column(default=0)
    reserve_news: Mapped[Words]
    rebalance_at_once: Mapped[int] = mapped_column(default=4)
    rebalance_rest_hours: Mapped[int] = mapped_column(default=24)
    rebalance_over: Mapped[int | None]
    rebalance_minutes: Mapped[int] = mapped_column(default=10)
    rebalance_user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    imbalance: Mapped[int] = mapped_column(default=0)
    uneven_looks: Mapped[int] = mapped_column(default=0)
    rest_free_percent: Mapped[int] = mapped_column(default=25)
    rest_settle_hours: Mapped[int] = mapped_column(default=2)
    rest_from: Mapped[int] = mapped_column(default=0)
    rest_until: Mapped[int] = mapped_column(default=0)
    rest_weekends: Mapped[bool] = mapped_column(default=True)
    rest_user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    rest_looks: Mapped[int] = mapped_column(default=0)
    lack_at: Mapped[Moment | None]
    rested_hours: Mapped[float] = mapped_column(default=0.0)
    rested_kwh: Mapped[float] = mapped_column(default=0.0)
