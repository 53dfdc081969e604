"""nodes rest while the cluster is quiet"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

_OF_NODES = ("other_running", "rest_step", "rest_since", "rest_note", "rest_held")
_OF_CLUSTER = ("rest_looks", "lack_at", "rested_hours", "rested_kwh")


def upgrade() -> None:
    with op.batch_alter_table("nodes") as batch_op:
        batch_op.add_column(sa.Column("other_running", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("rest_step", sa.String(32), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("rest_since", sa.DateTime(timezone=True)))
        for name in ("rest_note", "rest_held"):
            batch_op.add_column(sa.Column(name, sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("cluster") as batch_op:
        batch_op.add_column(sa.Column("rest_user_id", sa.Integer()))
        batch_op.create_foreign_key(
            "fk_cluster_rest_user_id_users", "users", ["rest_user_id"], ["id"], ondelete="SET NULL"
        )
        batch_op.add_column(sa.Column("rest_looks", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("lack_at", sa.DateTime(timezone=True)))
        for name in ("rested_hours", "rested_kwh"):
            batch_op.add_column(sa.Column(name, sa.Double(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("cluster") as batch_op:
        batch_op.drop_constraint("fk_cluster_rest_user_id_users", type_="foreignkey")
        for name in ("rest_user_id", *_OF_CLUSTER):
            batch_op.drop_column(name)
    with op.batch_alter_table("nodes") as batch_op:
        for name in _OF_NODES:
            batch_op.drop_column(name)
