"""a node's host may report another machine ID than the node's, which is asked about"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("nodes", sa.Column("other_machine_id", sa.String(32), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("nodes", "other_machine_id")
