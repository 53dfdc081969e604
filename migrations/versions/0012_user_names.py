"""names of users that differ in case alone are one user's"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("name_key", sa.String(length=80), nullable=False, server_default=""))
    users = sa.table("users", sa.column("id"), sa.column("name"), sa.column("name_key"))
    found = op.get_bind().execute(sa.select(users.c.id, users.c.name)).all()
    alike: dict[str, list[int]] = {}
    for id_, name in found:
        alike.setdefault(name.lower(), []).append(id_)
    for key, ids in alike.items():
        for id_ in ids:
            # Of those that were two before, each is found by its exact name alone: "#" is in nobody's name.
            own = key if len(ids) == 1 else f"{key}#{id_}"
            op.execute(users.update().where(users.c.id == id_).values(name_key=own))
    op.create_index("ix_users_name_key", "users", ["name_key"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_users_name_key", "users")
    op.drop_column("users", "name_key")
