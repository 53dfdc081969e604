"""alike verdicts of a decision are kept together, and the nodes' names once for all decisions"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

LOT = 100
EXACT = 8
_decisions = sa.table(
    "decisions", sa.column("id"), sa.column("verdicts", sa.JSON()), sa.column("roster_id", sa.Integer())
)
_rosters = sa.table("rosters", sa.column("id"), sa.column("digest"), sa.column("nodes", sa.JSON()), sa.column("made_at", sa.DateTime(timezone=True)))
Line = Mapping[str, Any]


def upgrade() -> None:
    op.create_table(
        "rosters",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("nodes", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rosters")),
        sa.UniqueConstraint("digest", name=op.f("uq_rosters_digest")),
    )
    with op.batch_alter_table("decisions", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("roster_id", sa.Integer(), nullable=True))
    rosters: dict[str, int] = {}
    for id_, kept in _all():
        values = {"roster_id": _roster(rosters, kept["verdicts"]), "verdicts": _grouped(kept)}
        op.execute(_decisions.update().where(_decisions.c.id == id_).values(**values))
    with op.batch_alter_table("decisions") as batch_op:
        batch_op.alter_column("roster_id", existing_type=sa.Integer(), nullable=False)
        batch_op.create_foreign_key(op.f("fk_decisions_roster_id_rosters"), "rosters", ["roster_id"], ["id"])
        batch_op.create_index(op.f("ix_decisions_roster_id"), ["roster_id"])
        batch_op.create_index(op.f("ix_decisions_made_at"), ["made_at"])
    op.create_index(op.f("ix_clones_decision_id"), "clones", ["decision_id"])


def _all() -> Iterable[tuple[int, dict[str, Any]]]:
    """All decisions, a lot at a time: one of a thousand nodes is 180 KB."""
    last = 0
    query = sa.select(_decisions.c.id, _decisions.c.verdicts).order_by(_decisions.c.id).limit(LOT)
    while rows := op.get_bind().execute(query.where(_decisions.c.id > last)).all():
        yield from ((row.id, row.verdicts) for row in rows)
        last = rows[-1].id


def _roster(known: dict[str, int], verdicts: list[Line]) -> int:
    nodes = [[verdict["node_id"], verdict["node_name"]] for verdict in verdicts]
    digest = hashlib.sha256(json.dumps(nodes).encode()).hexdigest()
    if digest not in known:
        known[digest] = len(known) + 1
        op.bulk_insert(_rosters, [{"id": known[digest], "digest": digest, "nodes": nodes, "made_at": datetime.now(UTC)}])
    return known[digest]


def _grouped(kept: Mapping[str, Any]) -> dict[str, Any]:
    """As placement.grouping has it."""
    kinds: dict[str, dict[str, list[Line]]] = {}
    for verdict in kept["verdicts"]:
        line = {name: _rounded(value) for name, value in verdict.items() if name != "node_name"} | {"best": None}
        alike = {name: value for name, value in line.items() if name != "node_id"}
        kinds.setdefault(_kind(line), {}).setdefault(json.dumps(alike, sort_keys=True), []).append(line)
    groups = [group for exact in kinds.values() for group in _of_kind(list(exact.values()))]
    return {"requested": kept["requested"], "fits": kept["fits"], "groups": groups}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    return {name: _rounded(part) for name, part in value.items()} if isinstance(value, Mapping) else value


def _kind(line: Line) -> str:
    reason = line["reason"] or {"code": "", "figures": {}}
    states = {name: value for name, value in reason["figures"].items() if isinstance(value, str)}
    return json.dumps([line["taken"], reason["code"], states], sort_keys=True)


def _of_kind(exact: list[list[Line]]) -> list[dict[str, Any]]:
    exact.sort(key=lambda lines: (-(lines[0]["score"] or 0), -len(lines), lines[0]["node_id"]))
    count = EXACT if len(exact) > EXACT + 1 else len(exact)
    rest = [line for lines in exact[count:] for line in lines]
    return [_group(lines) for lines in exact[:count]] + ([_group(rest)] if rest else [])


def _group(lines: list[Line]) -> dict[str, Any]:
    first = lines[0]
    scores = [line["score"] for line in lines if line["score"] is not None]
    reasons = [line["reason"] for line in lines if line["reason"]]
    reason = _shared(reasons) | {"figures": _shared([each["figures"] for each in reasons])} if reasons else None
    return {
        "nodes": _ranges(line["node_id"] for line in lines),
        "taken": first["taken"],
        "reason": reason,
        "score": min(scores, default=None),
        "weights": _shared([line.get("weights") or {} for line in lines]),
        "best": max(scores) if len(set(scores)) > 1 else None,
    }


def _shared(mappings: list[Line]) -> dict[str, Any]:
    return {name: value for name, value in mappings[0].items() if all(one.get(name) == value for one in mappings)}


def _ranges(ids: Iterable[int]) -> str:
    runs: list[list[int]] = []
    for id_ in sorted(ids):
        if runs and id_ == runs[-1][1] + 1:
            runs[-1][1] = id_
        else:
            runs.append([id_, id_])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def downgrade() -> None:
    op.drop_index(op.f("ix_clones_decision_id"), "clones")
    names = {
        row.id: dict(row.nodes) for row in op.get_bind().execute(sa.select(_rosters.c.id, _rosters.c.nodes)).all()
    }
    found = op.get_bind().execute(sa.select(_decisions.c.id, _decisions.c.roster_id)).all()
    rosters = {row.id: row.roster_id for row in found}
    for id_, kept in _all():
        whole = _spread(kept, names[rosters[id_]])
        op.execute(_decisions.update().where(_decisions.c.id == id_).values(verdicts=whole))
    with op.batch_alter_table("decisions") as batch_op:
        batch_op.drop_index(op.f("ix_decisions_made_at"))
        batch_op.drop_index(op.f("ix_decisions_roster_id"))
        batch_op.drop_constraint(op.f("fk_decisions_roster_id_rosters"), type_="foreignkey")
        batch_op.drop_column("roster_id")
    op.drop_table("rosters")


def _spread(kept: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    verdicts = [
        {"node_id": id_, "node_name": name}
        | {key: group[key] for key in ("taken", "reason", "score", "weights")}
        for group in kept["groups"]
        for id_, name in names.items()
        if any(_within(run, id_) for run in group["nodes"].split(","))
    ]
    verdicts.sort(key=lambda verdict: verdict["node_id"])
    placed = [verdict["node_id"] for verdict in verdicts for _clone in range(verdict["taken"])]
    return {"placed": placed, "verdicts": verdicts, "requested": kept["requested"], "fits": kept["fits"]}


def _within(run: str, id_: int) -> bool:
    first, _dash, last = run.partition("-")
    return int(first) <= id_ <= int(last or first)
