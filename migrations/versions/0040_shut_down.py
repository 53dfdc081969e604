"""that a host was shut down from here"""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("nodes", sa.Column("shut_down_news", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("nodes", "shut_down_news")
