"""a node's maintenance says by whom, why, since when and until when"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("nodes") as table:
        table.add_column(sa.Column("maintenance_by", sa.String(255), nullable=False, server_default=""))
        table.add_column(sa.Column("maintenance_why", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("maintenance_since", sa.DateTime(timezone=True)))
        table.add_column(sa.Column("maintenance_until", sa.DateTime(timezone=True)))


def downgrade() -> None:
    with op.batch_alter_table("nodes") as table:
        for name in ("maintenance_by", "maintenance_why", "maintenance_since", "maintenance_until"):
            table.drop_column(name)
