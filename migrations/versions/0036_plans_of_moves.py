"""plans of moves, and what is to become of each of their clones"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "move_plans",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", ondelete="SET NULL")),
        sa.Column("user_name", sa.String(255), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("choices", sa.JSON, nullable=False),
        sa.Column("deadline", MOMENT),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("picture", sa.JSON, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("returns", sa.Boolean, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("begun_at", MOMENT),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
    )
    op.create_table(
        "move_plan_nodes",
        sa.Column("plan_id", sa.Integer, sa.ForeignKey("move_plans.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("node_id", sa.Integer, sa.ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("before", sa.String(32), nullable=False),
    )
    op.create_table(
        "planned_moves",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("plan_id", sa.Integer, sa.ForeignKey("move_plans.id", ondelete="CASCADE"), nullable=False),
        sa.Column("clone_id", sa.Integer, sa.ForeignKey("clones.id", ondelete="SET NULL")),
        sa.Column("clone_name", sa.String(64), nullable=False),
        sa.Column("from_id", sa.Integer, sa.ForeignKey("nodes.id", ondelete="SET NULL")),
        sa.Column("to_id", sa.Integer, sa.ForeignKey("nodes.id", ondelete="SET NULL")),
        sa.Column("way", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("starts", sa.Boolean, nullable=False),
        sa.Column("brings", sa.Boolean, nullable=False),
        sa.Column("refused", sa.JSON, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("gain", sa.Double, nullable=False),
        sa.Column("operation_id", sa.Integer, sa.ForeignKey("operations.id", ondelete="SET NULL")),
        sa.Column("ended_at", MOMENT),
    )
    for table, columns in (
        ("move_plans", ("state", "ended_at")),
        ("move_plan_nodes", ("node_id",)),
        ("planned_moves", ("plan_id", "clone_id", "from_id", "to_id", "state", "operation_id")),
    ):
        for column in columns:
            op.create_index(f"ix_{table}_{column}", table, [column])


def downgrade() -> None:
    for table in ("planned_moves", "move_plan_nodes", "move_plans"):
        op.drop_table(table)
