"""a node's host is known to have been restarted, however fast that was"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("nodes", sa.Column("boot", sa.String(64), nullable=False, server_default=""))
    op.add_column("nodes", sa.Column("boot_round", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("nodes", "boot_round")
    op.drop_column("nodes", "boot")
