"""two nodes may have the same host UUID"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("nodes") as batch_op:
        batch_op.drop_constraint("uq_nodes_host_uuid", type_="unique")


def downgrade() -> None:
    op.execute("UPDATE nodes SET host_uuid = NULL WHERE id NOT IN (SELECT MIN(id) FROM nodes GROUP BY host_uuid)")
    with op.batch_alter_table("nodes") as batch_op:
        batch_op.create_unique_constraint("uq_nodes_host_uuid", ["host_uuid"])
