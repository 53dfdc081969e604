"""A decision as it is kept: alike verdicts together, and few of them however many nodes there are. Of a kind of verdict
(how many were taken, and why no more) a few are kept exactly, those of the highest scores or of the most nodes; the
others are one group, without what differs between them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ravada_web.placement.types import Decision, Verdict

# So many groups of a kind are kept exactly.
EXACT = 8
# Decimals of scores and weights, as they are shown.
_DECIMALS = 3


def grouped(decision: Decision) -> dict[str, Any]:
    """Returns the decision as plain JSON types, for the database; the nodes' names are left to be kept elsewhere."""
    return {
        "requested": decision.requested,
        "fits": decision.fits,
        "groups": _groups([_line(verdict) for verdict in decision.verdicts]),
    }


def spread(kept: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    """Returns what `Decision.to_dict` returns, of what `grouped` did: a verdict for each node again, by their ids."""
    verdicts = [
        {"node_id": id_, "node_name": names.get(id_, ""), **{key: group[key] for key in group if key != "nodes"}}
        for group in kept["groups"]
        for id_ in from_ranges(group["nodes"])
    ]
    verdicts.sort(key=lambda verdict: verdict["node_id"])
    return {"requested": kept["requested"], "fits": kept["fits"], "verdicts": verdicts}


def to_ranges(ids: Iterable[int]) -> str:
    """Returns whole numbers as text: "1-4,7,9-10"."""
    runs: list[list[int]] = []
    for id_ in sorted(ids):
        if runs and id_ == runs[-1][1] + 1:
            runs[-1][1] = id_
        else:
            runs.append([id_, id_])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def from_ranges(text: str) -> list[int]:
    """Returns the numbers that `to_ranges` made this text of."""
    ids: list[int] = []
    for run in filter(None, text.split(",")):
        first, _dash, last = run.partition("-")
        ids.extend(range(int(first), int(last or first) + 1))
    return ids


def _line(verdict: Verdict) -> dict[str, Any]:
    line = asdict(verdict)
    del line["node_name"]
    line["weights"] = {name: round(value, _DECIMALS) for name, value in verdict.weights.items()}
    for name in ("score", "best"):
        line[name] = line[name] if line[name] is None else round(line[name], _DECIMALS)
    return line


def _groups(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    kinds: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for line in lines:
        alike = {name: value for name, value in line.items() if name != "node_id"}
        kinds.setdefault(_kind(line), {}).setdefault(json.dumps(alike, sort_keys=True), []).append(line)
    return [group for exact in kinds.values() for group in _of_kind(list(exact.values()))]


def _kind(line: Mapping[str, Any]) -> str:
    """How many were taken, the reason's code, and the states in it, which are the words among its figures."""
    reason = line["reason"] or {"code": "", "figures": {}}
    states = {name: value for name, value in reason["figures"].items() if isinstance(value, str)}
    return json.dumps([line["taken"], reason["code"], states], sort_keys=True)


def _of_kind(exact: list[list[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    exact.sort(key=lambda lines: (-(lines[0]["score"] or 0), -len(lines), lines[0]["node_id"]))
    # One more than that would be a group of its own in any case.
    count = EXACT if len(exact) > EXACT + 1 else len(exact)
    rest = [line for lines in exact[count:] for line in lines]
    return [_group(lines) for lines in exact[:count]] + ([_group(rest)] if rest else [])


def _group(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One verdict on all these nodes: what they share, and the lowest and the highest score."""
    scores = [line["score"] for line in lines if line["score"] is not None]
    first, same = lines[0], all(line["score"] == lines[0]["score"] for line in lines)
    return {
        "nodes": to_ranges(line["node_id"] for line in lines),
        "taken": first["taken"],
        "reason": _shared_reason([line["reason"] for line in lines]),
        "score": min(scores, default=None),
        "weights": _shared([line["weights"] for line in lines]),
        "best": None if same else max(scores, default=None),
    }


def _shared_reason(reasons: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    known = [reason for reason in reasons if reason is not None]
    if not known:
        return None
    return {"code": known[0]["code"], "figures": _shared([reason["figures"] for reason in known])}


def _shared(mappings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is the same in all of them."""
    first = mappings[0]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in mappings)}
