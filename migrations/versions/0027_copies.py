"""copies of persistent clones, for what is to come: a clone knows where they are, and how old"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clone_copies",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("clone_id", sa.Integer(), sa.ForeignKey("clones.id", ondelete="CASCADE"), nullable=False),
        sa.Column("node_id", sa.Integer(), sa.ForeignKey("nodes.id", ondelete="CASCADE"), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_clone_copies_clone_id", "clone_copies", ["clone_id"])
    op.create_index("ix_clone_copies_node_id", "clone_copies", ["node_id"])


def downgrade() -> None:
    op.drop_table("clone_copies")
