"""which nodes may rest while the cluster is quiet, and when"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

OF_NODES = {"may_rest": (sa.Boolean, sa.false()), "watts": (sa.Integer, "0")}
OF_CLUSTER = {
    "rest_free_percent": (sa.Integer, "25"),
    "rest_settle_hours": (sa.Integer, "2"),
    "rest_from": (sa.Integer, "0"),
    "rest_until": (sa.Integer, "0"),
    "rest_weekends": (sa.Boolean, sa.true()),
}


def upgrade() -> None:
    for table, columns in (("nodes", OF_NODES), ("cluster", OF_CLUSTER)):
        for name, (kind, default) in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=False, server_default=default))


def downgrade() -> None:
    for table, columns in (("cluster", OF_CLUSTER), ("nodes", OF_NODES)):
        for name in columns:
            op.drop_column(table, name)
