"""Jobs that move clones."""

from ravada_web.services.moves import move_work, plan_work, rebalancing_rules, work
from ravada_web.services.operations.execution import run


def move(operation_id: int, attempt: int) -> None:
    """Move a clone to another node, and let the plan that it is part of go on."""
    run(operation_id, attempt, work.move)
    plan_work.look_after(operation_id)


def go_on(*operation_ids: int) -> None:
    """Go on with moves whose target answers again."""
    move_work.go_on(operation_ids)


def go_on_with_plans(*plan_ids: int) -> None:
    """Go on with plans of moves."""
    plan_work.go_on(plan_ids)


def look_at_balance() -> None:
    """Measure how even the load of the nodes is, and rebalance them where that is wished."""
    rebalancing_rules.look()
