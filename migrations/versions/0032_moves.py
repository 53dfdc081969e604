"""moves: something may be left of one clone on several nodes"""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("remains") as table:
        table.drop_constraint("uq_remains_uuid", type_="unique")
        table.create_unique_constraint("uq_remains_node_id_uuid", ["node_id", "uuid"])


def downgrade() -> None:
    with op.batch_alter_table("remains") as table:
        table.drop_constraint("uq_remains_node_id_uuid", type_="unique")
        table.create_unique_constraint("uq_remains_uuid", ["uuid"])
