"""the language of each account"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("language", sa.String(length=32), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("users", "language")
