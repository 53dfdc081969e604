"""what moves from and to a node may take of the network"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("nodes", sa.Column("move_mib_per_second", sa.Integer, nullable=True))


def downgrade() -> None:
    op.drop_column("nodes", "move_mib_per_second")
