"""alerts of the cluster as a whole, which are of no node"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("alerts") as batch_op:
        batch_op.alter_column("node_id", existing_type=sa.Integer(), nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM alerts WHERE node_id IS NULL")
    with op.batch_alter_table("alerts") as batch_op:
        batch_op.alter_column("node_id", existing_type=sa.Integer(), nullable=False)
