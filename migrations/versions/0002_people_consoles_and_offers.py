"""people, consoles and offers"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Existing tables are altered in place: made anew on SQLite, their rows would take along what refers to them.

# The audit log is append-only, whoever writes SQL: its lines can be neither changed nor deleted.
_CLOSE = {
    "sqlite": [
        "CREATE TRIGGER events_kept_from_update BEFORE UPDATE ON events "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
        "CREATE TRIGGER events_kept_from_delete BEFORE DELETE ON events "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    ],
    "postgresql": [
        "CREATE FUNCTION events_are_kept() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
        "CREATE TRIGGER events_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION events_are_kept()",
    ],
}
_OPEN = {
    "sqlite": ["DROP TRIGGER events_kept_from_update", "DROP TRIGGER events_kept_from_delete"],
    "postgresql": ["DROP TRIGGER events_kept ON events", "DROP FUNCTION events_are_kept()"],
}


def upgrade() -> None:
    op.create_table(
        "groups",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("most_clones", sa.Integer(), nullable=True),
        sa.Column("most_running", sa.Integer(), nullable=True),
        sa.Column("most_memory_mib", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_groups_name")),
    )
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_group_members_group_id_groups"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_group_members_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_group_members")),
    )
    with op.batch_alter_table("group_members", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_group_members_user_id"), ["user_id"], unique=False)

    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
    )
    with op.batch_alter_table("recovery_codes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recovery_codes_user_id"), ["user_id"], unique=False)

    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_ins_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sign_ins_token_hash")),
    )
    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sign_ins_user_id"), ["user_id"], unique=False)

    op.create_table(
        "base_offers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("base_id", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["base_id"], ["bases.id"], name=op.f("fk_base_offers_base_id_bases"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_base_offers_group_id_groups"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_base_offers_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_base_offers")),
    )
    with op.batch_alter_table("base_offers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_base_offers_base_id"), ["base_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_base_offers_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_base_offers_user_id"), ["user_id"], unique=False)

    op.create_table(
        "operator_scopes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=True),
        sa.Column("base_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["base_id"], ["bases.id"], name=op.f("fk_operator_scopes_base_id_bases"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["node_id"], ["nodes.id"], name=op.f("fk_operator_scopes_node_id_nodes"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_operator_scopes_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_scopes")),
        sa.UniqueConstraint("user_id", "node_id", "base_id", name=op.f("uq_operator_scopes_user_id_node_id_base_id")),
    )
    with op.batch_alter_table("operator_scopes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_operator_scopes_user_id"), ["user_id"], unique=False)

    op.create_table(
        "consoles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("clone_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("sign_in_id", sa.Integer(), nullable=True),
        sa.Column("view_only", sa.Boolean(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_as", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["clone_id"], ["clones.id"], name=op.f("fk_consoles_clone_id_clones"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["sign_in_id"], ["sign_ins.id"], name=op.f("fk_consoles_sign_in_id_sign_ins"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_consoles_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consoles")),
    )
    with op.batch_alter_table("consoles", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_consoles_clone_id"), ["clone_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_consoles_closed_at"), ["closed_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_consoles_user_id"), ["user_id"], unique=False)

    op.create_table(
        "tickets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("sign_in_id", sa.Integer(), nullable=False),
        sa.Column("clone_id", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("view_only", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["clone_id"], ["clones.id"], name=op.f("fk_tickets_clone_id_clones"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name=op.f("fk_tickets_node_id_nodes"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["sign_in_id"], ["sign_ins.id"], name=op.f("fk_tickets_sign_in_id_sign_ins"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tickets_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tickets")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_tickets_token_hash")),
    )
    with op.batch_alter_table("tickets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tickets_expires_at"), ["expires_at"], unique=False)

    with op.batch_alter_table("bases", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("offered_to_all", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("offers_volatile", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("users_may_delete", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("users_may_refuse", sa.Boolean(), nullable=False, server_default=sa.false()))

    with op.batch_alter_table("clones", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("display", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("viewers_refused", sa.Boolean(), nullable=False, server_default=sa.false()))

    with op.batch_alter_table("events", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("address", sa.String(length=64), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("result", sa.String(length=32), nullable=False, server_default="done"))
        batch_op.create_index(batch_op.f("ix_events_object_id"), ["object_id"], unique=False)

    with op.batch_alter_table("nodes", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("display_address", sa.String(length=255), nullable=False, server_default=""))

    with op.batch_alter_table("users", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("must_change_password", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("totp_secret", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("totp_since", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("totp_step", sa.BigInteger(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("most_clones", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("most_running", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("most_memory_mib", sa.Integer(), nullable=True))

    for statement in _CLOSE[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    for statement in _OPEN[op.get_bind().dialect.name]:
        op.execute(statement)
    with op.batch_alter_table("users", recreate="never") as batch_op:
        batch_op.drop_column("most_memory_mib")
        batch_op.drop_column("most_running")
        batch_op.drop_column("most_clones")
        batch_op.drop_column("totp_step")
        batch_op.drop_column("totp_since")
        batch_op.drop_column("totp_secret")
        batch_op.drop_column("must_change_password")

    with op.batch_alter_table("nodes", recreate="never") as batch_op:
        batch_op.drop_column("display_address")

    with op.batch_alter_table("events", recreate="never") as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_object_id"))
        batch_op.drop_column("result")
        batch_op.drop_column("address")

    with op.batch_alter_table("clones", recreate="never") as batch_op:
        batch_op.drop_column("viewers_refused")
        batch_op.drop_column("display")

    with op.batch_alter_table("bases", recreate="never") as batch_op:
        batch_op.drop_column("users_may_refuse")
        batch_op.drop_column("users_may_delete")
        batch_op.drop_column("offers_volatile")
        batch_op.drop_column("offered_to_all")

    with op.batch_alter_table("tickets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tickets_expires_at"))

    op.drop_table("tickets")
    with op.batch_alter_table("consoles", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_consoles_user_id"))
        batch_op.drop_index(batch_op.f("ix_consoles_closed_at"))
        batch_op.drop_index(batch_op.f("ix_consoles_clone_id"))

    op.drop_table("consoles")
    with op.batch_alter_table("operator_scopes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_operator_scopes_user_id"))

    op.drop_table("operator_scopes")
    with op.batch_alter_table("base_offers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_base_offers_user_id"))
        batch_op.drop_index(batch_op.f("ix_base_offers_group_id"))
        batch_op.drop_index(batch_op.f("ix_base_offers_base_id"))

    op.drop_table("base_offers")
    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sign_ins_user_id"))

    op.drop_table("sign_ins")
    with op.batch_alter_table("recovery_codes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recovery_codes_user_id"))

    op.drop_table("recovery_codes")
    with op.batch_alter_table("group_members", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_group_members_user_id"))

    op.drop_table("group_members")
    op.drop_table("groups")
