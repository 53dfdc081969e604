"""room kept for the loss of one node"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    cluster = op.create_table(
        "cluster",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("keeps_reserve", sa.Boolean(), nullable=False),
        sa.Column("missing_mib", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reserve_news", sa.Text(), nullable=False),
    )
    op.bulk_insert(cluster, [{"id": 1, "keeps_reserve": False, "missing_mib": 0, "reserve_news": ""}])


def downgrade() -> None:
    op.drop_table("cluster")
