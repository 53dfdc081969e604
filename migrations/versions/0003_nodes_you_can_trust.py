"""joining, health and storage of nodes"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _of_nodes() -> list[sa.Column]:
    return [
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("slow_checks", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("good_checks", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("ssh_ms", sa.Double(), nullable=True),
        sa.Column("libvirt_ms", sa.Double(), nullable=True),
        sa.Column("access", sa.String(length=32), nullable=False, server_default=""),
        sa.Column("source_address", sa.String(length=64), nullable=False, server_default=""),
        sa.Column("machine_id", sa.String(length=32), nullable=False, server_default=""),
        sa.Column("findings", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("inspected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("proof", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cpu_overcommit", sa.Double(), nullable=True),
        sa.Column("memory_overcommit", sa.Double(), nullable=False, server_default="1"),
        sa.Column("nat_address", sa.String(length=255), nullable=False, server_default=""),
        sa.Column("mac", sa.String(length=17), nullable=False, server_default=""),
        sa.Column("notes", sa.Text(), nullable=False, server_default=""),
        sa.Column("labels", sa.JSON(), nullable=False, server_default="[]"),
    ]


def _of_pools() -> list[sa.Column]:
    return [
        sa.Column("warn_percent", sa.Integer(), nullable=False, server_default="80"),
        sa.Column("critical_percent", sa.Integer(), nullable=False, server_default="90"),
        sa.Column("floor_mib", sa.Integer(), nullable=True),
        sa.Column("usage", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
    ]


def upgrade() -> None:
    with op.batch_alter_table("nodes", recreate="never") as batch_op:
        for column in _of_nodes():
            batch_op.add_column(column)
    with op.batch_alter_table("pools", recreate="never") as batch_op:
        for column in _of_pools():
            batch_op.add_column(column)
    with op.batch_alter_table("clones", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("out_of_space", sa.Boolean(), nullable=False, server_default=sa.false()))
    # Nodes that joined before let us in as what their user is.
    op.execute("UPDATE nodes SET access = CASE WHEN local OR \"user\" = 'root' THEN 'root' ELSE 'sudo' END")

    op.create_table(
        "node_samples",
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("cpu_load", sa.Double(), nullable=True),
        sa.Column("memory_used", sa.Double(), nullable=True),
        sa.Column("ssh_ms", sa.Double(), nullable=True),
        sa.Column("libvirt_ms", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["node_id"], ["nodes.id"], name=op.f("fk_node_samples_node_id_nodes"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("node_id", "step", "at", name=op.f("pk_node_samples")),
    )
    op.create_table(
        "pool_samples",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("used_mib", sa.Double(), nullable=False),
        sa.Column("total_mib", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pool_id"], ["pools.id"], name=op.f("fk_pool_samples_pool_id_pools"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pool_id", "step", "at", name=op.f("pk_pool_samples")),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("untold", sa.Boolean(), nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name=op.f("fk_alerts_node_id_nodes"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["pool_id"], ["pools.id"], name=op.f("fk_alerts_pool_id_pools"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("pool_id", name=op.f("uq_alerts_pool_id")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alerts_node_id"), ["node_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_alerts_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_alerts_untold"), ["untold"], unique=False)


def downgrade() -> None:
    op.drop_table("alerts")
    op.drop_table("pool_samples")
    op.drop_table("node_samples")
    with op.batch_alter_table("clones", recreate="never") as batch_op:
        batch_op.drop_column("out_of_space")
    with op.batch_alter_table("pools", recreate="never") as batch_op:
        for column in reversed(_of_pools()):
            batch_op.drop_column(column.name)
    with op.batch_alter_table("nodes", recreate="never") as batch_op:
        for column in reversed(_of_nodes()):
            batch_op.drop_column(column.name)
