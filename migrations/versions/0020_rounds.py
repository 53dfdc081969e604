"""rounds of checks are numbered, and clones know the round in which they were moved"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

NUMBERS = {
    "nodes": ("rounds_begun", "seen_round", "figures_round", "facts_round"),
    "clones": ("made_round", "changed_round"),
}


def upgrade() -> None:
    for table, names in NUMBERS.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.add_column("clones", sa.Column("started_round", sa.Integer(), nullable=True))
    op.drop_column("clones", "changed_at")


def downgrade() -> None:
    # The first check after it finds all that an operation moved before.
    changed_at = sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False, server_default="1970-01-01")
    op.add_column("clones", changed_at)
    op.drop_column("clones", "started_round")
    for table, names in NUMBERS.items():
        for name in names:
            op.drop_column(table, name)
