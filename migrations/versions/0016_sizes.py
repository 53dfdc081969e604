"""sizes are as large as they may honestly be: a pool of 2 PiB has more MiB than 32 bits hold"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SIZES = {
    "pools": ("total_mib", "free_mib", "floor_mib"),
    "nodes": ("memory_total_mib", "memory_free_mib", "memory_reserve_mib"),
    "bases": ("memory_mib",),
    "clones": ("memory_mib",),
    "users": ("most_memory_mib",),
    "groups": ("most_memory_mib",),
}
MOST = (1 << 31) - 1


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":  # its integers have 64 bits
        return
    for table, columns in SIZES.items():
        for column in columns:
            op.alter_column(table, column, existing_type=sa.Integer(), type_=sa.BigInteger())


def downgrade() -> None:
    for table, columns in SIZES.items():
        for column in columns:
            op.execute(f"UPDATE {table} SET {column} = {MOST} WHERE {column} > {MOST}")
            if op.get_bind().dialect.name != "sqlite":
                op.alter_column(table, column, existing_type=sa.BigInteger(), type_=sa.Integer())
