"""names of pools are as long as libvirt's may be"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("pools") as batch_op:
        batch_op.alter_column("name", existing_type=sa.String(64), type_=sa.String(255), existing_nullable=False)


def downgrade() -> None:
    # Their nodes' next checks would not take them either.
    op.execute("DELETE FROM pools WHERE length(name) > 64")
    with op.batch_alter_table("pools") as batch_op:
        batch_op.alter_column("name", existing_type=sa.String(255), type_=sa.String(64), existing_nullable=False)
