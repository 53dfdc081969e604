"""Whether a node may rest while the cluster is quiet, and what that saves."""

from sqlalchemy.orm import Mapped, mapped_column


class Resting:
    """`watts` is what the host takes while it is on, as its administrator says; 0 where nobody has said."""

    may_rest: Mapped[bool] = mapped_column(default=False)
    watts: Mapped[int] = mapped_column(default=0)
