"""how nodes are rebalanced"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_NUMBERS = (
    ("rebalance_at_once", "4"),
    ("rebalance_rest_hours", "24"),
    ("rebalance_minutes", "10"),
    ("imbalance", "0"),
    ("uneven_looks", "0"),
)


def upgrade() -> None:
    with op.batch_alter_table("cluster") as batch_op:
        for name, value in _NUMBERS:
            batch_op.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default=value))
        batch_op.add_column(sa.Column("rebalance_over", sa.Integer()))
        batch_op.add_column(sa.Column("rebalance_user_id", sa.Integer()))
        batch_op.create_foreign_key(
            "fk_cluster_rebalance_user_id_users", "users", ["rebalance_user_id"], ["id"], ondelete="SET NULL"
        )
    with op.batch_alter_table("cluster") as batch_op:
        for name, _value in _NUMBERS:
            batch_op.alter_column(name, existing_type=sa.Integer(), server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("cluster") as batch_op:
        batch_op.drop_constraint("fk_cluster_rebalance_user_id_users", type_="foreignkey")
        for name in (*(name for name, _value in _NUMBERS), "rebalance_over", "rebalance_user_id"):
            batch_op.drop_column(name)
