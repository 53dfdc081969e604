"""volatile clones are made again on other nodes where their base says so, and decisions say why they were made"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("bases", sa.Column("remakes", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("decisions", sa.Column("why", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("decisions", "why")
    op.drop_column("bases", "remakes")
