"""orphans are files alone, too, and are ignored until they change"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

# With what the rows of before have.
COLUMNS = {
    "kind": sa.Column("kind", sa.String(32), nullable=False, server_default="machine"),
    "ignored_by": sa.Column("ignored_by", sa.String(64), nullable=False, server_default=""),
    "ignored_at": sa.Column("ignored_at", sa.DateTime(timezone=True), nullable=True),
    "size": sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    "written_at": sa.Column("written_at", sa.DateTime(timezone=True), nullable=True),
    "runs": sa.Column("runs", sa.Boolean(), nullable=False, server_default=sa.false()),
    "stamp": sa.Column("stamp", sa.String(64), nullable=False, server_default=""),
}


def upgrade() -> None:
    with op.batch_alter_table("remains") as table:
        table.alter_column("uuid", existing_type=sa.String(36), nullable=True)
        for column in COLUMNS.values():
            table.add_column(column)


def downgrade() -> None:
    op.execute("DELETE FROM remains WHERE uuid IS NULL")
    with op.batch_alter_table("remains") as table:
        table.alter_column("uuid", existing_type=sa.String(36), nullable=False)
        for name in COLUMNS:
            table.drop_column(name)
