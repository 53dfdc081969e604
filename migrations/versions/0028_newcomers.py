"""a host with another key at a node's address is looked at before it is the node: what it is, what was there before"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

OF_NODES = ("new_host_key", "newcomer", "former_hosts", "serves_as")


def upgrade() -> None:
    op.add_column("nodes", sa.Column("new_host_key", sa.Text(), nullable=False, server_default=""))
    op.add_column("nodes", sa.Column("newcomer", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("nodes", sa.Column("former_hosts", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("nodes", sa.Column("serves_as", sa.String(32), nullable=False, server_default=""))
    op.add_column("clones", sa.Column("lost", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("clones", "lost")
    for name in OF_NODES:
        op.drop_column("nodes", name)
