"""what decides where clones can go on running: what nodes offer, and what each clone was made with"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

OF_NODES = {"platform": (sa.JSON(), "{}"), "platform_digest": (sa.String(64), "")}
OF_CLONES = {"virt_type": (sa.String(32), ""), "machine": (sa.String(64), ""), "processor": (sa.String(64), "")}


def upgrade() -> None:
    for table, columns in (("nodes", OF_NODES), ("clones", OF_CLONES)):
        for name, (kind, default) in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=False, server_default=default))


def downgrade() -> None:
    for table, columns in (("clones", OF_CLONES), ("nodes", OF_NODES)):
        for name in columns:
            op.drop_column(table, name)
