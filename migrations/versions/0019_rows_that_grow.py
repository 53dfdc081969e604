"""what grows is found by its age"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

INDEXES = (
    ("operations", ["finished_at"]),
    ("consoles", ["sign_in_id"]),
    ("node_samples", ["step", "at"]),
    ("pool_samples", ["step", "at"]),
)


def upgrade() -> None:
    for table, columns in INDEXES:
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)


def downgrade() -> None:
    for table, columns in INDEXES:
        op.drop_index(f"ix_{table}_{'_'.join(columns)}", table)
