"""a base's version has its NVRAM beside its disks"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("base_disks", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(length=32), nullable=False, server_default="disk"))


def downgrade() -> None:
    op.drop_column("base_disks", "kind")
