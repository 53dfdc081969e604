"""replicas: what their files looked like, the operation at work on them, and when they are tried again"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("replicas") as batch_op:
        batch_op.add_column(sa.Column("stamps", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("operation_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_replicas_operation_id_operations"),
            "operations",
            ["operation_id"],
            ["id"],
            ondelete="SET NULL",
        )
        batch_op.create_index(batch_op.f("ix_replicas_operation_id"), ["operation_id"])


def downgrade() -> None:
    with op.batch_alter_table("replicas") as batch_op:
        batch_op.drop_index(batch_op.f("ix_replicas_operation_id"))
        batch_op.drop_constraint(batch_op.f("fk_replicas_operation_id_operations"), type_="foreignkey")
        for column in ("retry_at", "failures", "operation_id", "stamps"):
            batch_op.drop_column(column)
