"""whether a person waits for an operation, and how many things it works on"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("operations", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("awaited", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("items", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("operations", "items")
    op.drop_column("operations", "awaited")
