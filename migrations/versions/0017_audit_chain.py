"""lines of the audit log are a chain, and are added at its end alone"""

import hashlib
import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_KEPT = "the audit log is append-only"
_LAST = "the audit log takes lines at its end alone"
_CHAIN = "the chain of the audit log only grows"

# Lines can be added after the last one, and deleted once they are in the archive; whatever replaces, merges or truncates
# is one of these. What says where the log ends can only move on.
_CLOSE = {
    "sqlite": [
        "CREATE TRIGGER events_kept_from_update BEFORE UPDATE ON events "
        f"BEGIN SELECT RAISE(ABORT, '{_KEPT}'); END",
        "CREATE TRIGGER events_kept_from_delete BEFORE DELETE ON events "
        "WHEN NOT EXISTS (SELECT 1 FROM audit_chain WHERE OLD.id <= anchor_id) "
        f"BEGIN SELECT RAISE(ABORT, '{_KEPT}'); END",
        # After, since only then the line has its number; what it has replaced is put back.
        "CREATE TRIGGER events_added_last AFTER INSERT ON events "
        "WHEN NOT EXISTS (SELECT 1 FROM audit_chain WHERE NEW.id > head_id) "
        f"BEGIN SELECT RAISE(ABORT, '{_KEPT}: {_LAST}'); END",
        f"CREATE TRIGGER audit_chain_one BEFORE INSERT ON audit_chain BEGIN SELECT RAISE(ABORT, '{_CHAIN}'); END",
        f"CREATE TRIGGER audit_chain_kept BEFORE DELETE ON audit_chain BEGIN SELECT RAISE(ABORT, '{_CHAIN}'); END",
        "CREATE TRIGGER audit_chain_grows BEFORE UPDATE ON audit_chain WHEN NEW.id <> OLD.id "
        "OR NEW.head_id < OLD.head_id OR NEW.anchor_id < OLD.anchor_id OR NEW.anchor_id > NEW.head_id "
        f"BEGIN SELECT RAISE(ABORT, '{_CHAIN}'); END",
    ],
    "postgresql": [
        f"CREATE FUNCTION events_are_kept() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_KEPT}'; END $$",
        "CREATE TRIGGER events_kept BEFORE UPDATE OR TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION events_are_kept()",
        "CREATE FUNCTION events_kept_until_archived() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NOT EXISTS (SELECT 1 FROM audit_chain WHERE OLD.id <= anchor_id) THEN "
        f"RAISE EXCEPTION '{_KEPT}'; END IF; RETURN OLD; END $$",
        "CREATE TRIGGER events_kept_from_delete BEFORE DELETE ON events "
        "FOR EACH ROW EXECUTE FUNCTION events_kept_until_archived()",
        "CREATE FUNCTION events_are_last() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NOT EXISTS (SELECT 1 FROM audit_chain WHERE NEW.id > head_id) THEN "
        f"RAISE EXCEPTION '{_KEPT}: {_LAST}'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER events_added_last BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION events_are_last()",
        "CREATE FUNCTION audit_chain_is_one() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_CHAIN}'; END $$",
        "CREATE TRIGGER audit_chain_kept BEFORE INSERT OR DELETE OR TRUNCATE ON audit_chain "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_chain_is_one()",
        "CREATE FUNCTION audit_chain_grows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.id <> OLD.id OR NEW.head_id < OLD.head_id OR NEW.anchor_id < OLD.anchor_id "
        f"OR NEW.anchor_id > NEW.head_id THEN RAISE EXCEPTION '{_CHAIN}'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER audit_chain_grows BEFORE UPDATE ON audit_chain "
        "FOR EACH ROW EXECUTE FUNCTION audit_chain_grows()",
    ],
}
# What the revisions before have made, and what they have for it.
_CLOSED_BEFORE = {
    "sqlite": [
        "CREATE TRIGGER events_kept_from_update BEFORE UPDATE ON events "
        f"BEGIN SELECT RAISE(ABORT, '{_KEPT}'); END",
        "CREATE TRIGGER events_kept_from_delete BEFORE DELETE ON events "
        f"BEGIN SELECT RAISE(ABORT, '{_KEPT}'); END",
    ],
    "postgresql": [
        "CREATE FUNCTION events_are_kept() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_KEPT}'; END $$",
        "CREATE TRIGGER events_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION events_are_kept()",
    ],
}
_OPEN_BEFORE = {
    "sqlite": ["DROP TRIGGER events_kept_from_update", "DROP TRIGGER events_kept_from_delete"],
    "postgresql": ["DROP TRIGGER events_kept ON events", "DROP FUNCTION events_are_kept()"],
}
_OPEN = {
    "sqlite": [*_OPEN_BEFORE["sqlite"], "DROP TRIGGER events_added_last"],
    "postgresql": [
        *_OPEN_BEFORE["postgresql"],
        "DROP TRIGGER events_kept_from_delete ON events",
        "DROP FUNCTION events_kept_until_archived()",
        "DROP TRIGGER events_added_last ON events",
        "DROP FUNCTION events_are_last()",
        "DROP TRIGGER audit_chain_kept ON audit_chain",
        "DROP FUNCTION audit_chain_is_one()",
        "DROP TRIGGER audit_chain_grows ON audit_chain",
        "DROP FUNCTION audit_chain_grows()",
    ],
}
LOT = 1000
_COVERED = ("id", "at", "actor", "action", "object_kind", "object_id", "object_name", "text", "address", "result")
_events = sa.table(
    "events",
    *(sa.column(name) for name in _COVERED if name != "at"),
    sa.column("at", sa.DateTime(timezone=True)),
    sa.column("digest"),
)


def _say(statements: dict[str, list[str]]) -> None:
    for statement in statements[op.get_bind().dialect.name]:
        op.execute(statement)


def upgrade() -> None:
    _say(_OPEN_BEFORE)
    with op.batch_alter_table("events") as batch_op:
        batch_op.add_column(sa.Column("digest", sa.String(length=64), nullable=True))
    head = _fill()
    with op.batch_alter_table("events") as batch_op:
        batch_op.alter_column("digest", existing_type=sa.String(length=64), nullable=False)
    chain = op.create_table(
        "audit_chain",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("head_id", sa.Integer(), nullable=False),
        sa.Column("head_digest", sa.String(length=64), nullable=False),
        sa.Column("anchor_id", sa.Integer(), nullable=False),
        sa.Column("anchor_digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_chain")),
    )
    op.bulk_insert(chain, [{"id": 1, "head_id": head[0], "head_digest": head[1], "anchor_id": 0, "anchor_digest": ""}])
    _say(_CLOSE)


def _fill() -> tuple[int, str]:
    """Chain the lines that are there; the number and the hash of the last one."""
    bind, last, previous = op.get_bind(), 0, ""
    query = sa.select(*(_events.c[name] for name in _COVERED)).order_by(_events.c.id).limit(LOT)
    change = _events.update().where(_events.c.id == sa.bindparam("number")).values(digest=sa.bindparam("hash"))
    while rows := bind.execute(query.where(_events.c.id > last)).all():
        changes = []
        for row in rows:
            previous = _digest(previous, dict(row._mapping))
            changes.append({"number": row.id, "hash": previous})
        bind.execute(change, changes)
        last = rows[-1].id
    return last, previous


def _digest(previous: str, line: dict[str, object]) -> str:
    """As services.audit.chain has it."""
    at = line["at"]
    assert isinstance(at, datetime)
    known = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    line["at"] = known.isoformat(timespec="microseconds")
    covered = json.dumps(line, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{covered}".encode()).hexdigest()


def downgrade() -> None:
    _say(_OPEN)
    op.drop_table("audit_chain")
    op.drop_column("events", "digest")
    _say(_CLOSED_BEFORE)
