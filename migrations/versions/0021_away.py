"""how a node that is down is away: it refuses, is silent, or is known to be off"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

NAMES = ("away", "known_off_at", "known_off_by", "known_off_round", "known_off_used")


def upgrade() -> None:
    op.add_column("nodes", sa.Column("away", sa.String(32), nullable=False, server_default=""))
    op.add_column("nodes", sa.Column("known_off_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("nodes", sa.Column("known_off_by", sa.Text(), nullable=False, server_default=""))
    op.add_column("nodes", sa.Column("known_off_round", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("nodes", sa.Column("known_off_used", sa.Boolean(), nullable=False, server_default=sa.false()))
    nodes = sa.table("nodes", sa.column("away", sa.String), sa.column("observed", sa.String))
    op.execute(nodes.update().where(nodes.c.observed == "down").values(away="silent"))


def downgrade() -> None:
    for name in NAMES:
        op.drop_column("nodes", name)
