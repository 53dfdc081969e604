"""what clones were before they were to be started or shut down"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("clones", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("state_before", sa.String(length=32), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("clones", "state_before")
