"""operations that no worker holds while they are watched"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("operations", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("watched_from", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("watched_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("operations", "watched_until")
    op.drop_column("operations", "asked_at")
    op.drop_column("operations", "watched_from")
