"""What an operation leaves in work when it is over is freed by the sweep; an attempt left behind writes nothing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

import ravada_web.services
from ravada_web.extensions import db
from ravada_web.messages import text
from ravada_web.models import IN_WORK, OVER, Base, BaseState, Clone, CloneState, Operation, OperationState, Role
from ravada_web.services.clones.batch import set_state
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.operations.execution import Handle, Superseded, run
from ravada_web.services.operations.left_behind import settle
from ravada_web.services.operations.sweep import Sweep, hand_back
from tests.support.factories import change, make_base, make_nodes, make_operation, make_user


@pytest.fixture
def clone_id(migrated_app: Flask) -> int:
    chief = make_user("chief", Role.ADMINISTRATOR)
    request_clones(chief, Request(make_base(make_nodes(1)), 1, "pc", "chief"))
    return db.session.scalars(select(Clone.id)).one()


def row() -> Clone:
    db.session.rollback()
    return db.session.scalars(select(Clone)).one()


AFTERWARDS = {
    CloneState.REQUESTED: CloneState.FAILED,
    CloneState.CREATING: CloneState.FAILED,
    CloneState.STARTING: CloneState.STOPPED,
    CloneState.STOPPING: CloneState.RUNNING,
    CloneState.MOVING: CloneState.STOPPED,
    CloneState.DELETING: CloneState.FAILED,
}


@pytest.mark.parametrize("ended", [*OVER, None])
def test_clones_in_work_whose_operation_is_over_or_gone_are_freed_by_the_sweep(
    clone_id: int, ended: OperationState | None
) -> None:
    why = text("The disk is full.")
    for state in IN_WORK:
        change(Operation, state=ended or OperationState.WAITING, error=why)
        change(Clone, state=state, state_before="", **({} if ended else {"operation_id": None}))
        Sweep().run()
        assert row().state == AFTERWARDS[state]
        assert row().reason == why if ended else row().reason.kind == "operations.left_unfinished"
        change(Clone, operation_id=db.session.scalar(select(Operation.id)))


def test_one_that_was_known_to_be_paused_is_so_again(clone_id: int) -> None:
    change(Operation, state=OperationState.CANCELLED)
    change(Clone, state=CloneState.STOPPING, state_before=CloneState.PAUSED)
    settle()
    assert (row().state, row().reason.kind) == (CloneState.PAUSED, "operations.left_unfinished")


@pytest.mark.parametrize("live", [OperationState.WAITING, OperationState.RUNNING, OperationState.WATCHED])
def test_what_is_still_to_be_done_is_left_in_work(clone_id: int, live: OperationState) -> None:
    change(Operation, state=live)
    settle()
    assert row().state == CloneState.REQUESTED


def test_a_base_whose_preparation_is_over_is_freed_and_one_that_is_prepared_again_is_not(clone_id: int) -> None:
    base_id = row().base_id
    change(Base, state=BaseState.PREPARING)
    make_operation("base_prepare", base_id=base_id, state=OperationState.FAILED)
    again = make_operation("base_prepare", base_id=base_id).id
    settle()
    assert db.session.get_one(Base, base_id).state == BaseState.PREPARING
    change(Operation, Operation.id == again, state=OperationState.FAILED)
    settle()
    assert db.session.get_one(Base, base_id).state == BaseState.FAILED


def test_an_attempt_that_was_handed_on_while_it_ran_writes_nothing_any_more(clone_id: int) -> None:
    operation_id = row().operation_id
    assert operation_id is not None

    def overtaken(handle: Handle) -> None:
        hand_back(operation_id, died=True)
        with pytest.raises(Superseded):
            set_state(handle, [clone_id], CloneState.STOPPED)
        with pytest.raises(Superseded), handle.writing():
            raise AssertionError("it must not get so far")
        handle.result["late"] = True

    run(operation_id, 1, overtaken)
    found = db.session.get_one(Operation, operation_id)
    assert (found.state, found.attempt, found.result) == (OperationState.WAITING, 2, {})
    assert row().state == CloneState.REQUESTED


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def named(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def calls(function: ast.FunctionDef) -> set[str]:
    """The names of what a function calls, or hands over to be called."""
    return {named(node) for node in ast.walk(function) if isinstance(node, ast.Attribute | ast.Name)}


def unfenced(source: str) -> list[str]:
    """The functions of a module by which a job that has an operation writes otherwise than by `Handle.writing`."""
    tree = ast.parse(source)
    known = list(functions(tree))
    works = {
        function.name
        for function in known
        if any(argument.annotation and named(argument.annotation) == "Handle" for argument in function.args.args)
    }
    while (
        more := {one.name for owner in known if owner.name in works for one in known if one.name in calls(owner)}
        - works
    ):
        works |= more
    return [one.name for one in known if one.name in works and {"transaction", "commit"} & calls(one)]


def test_a_job_that_has_an_operation_writes_only_as_its_attempt() -> None:
    folder = Path(ravada_web.services.__path__[0])
    found = {
        str(path.relative_to(folder)): names
        for path in sorted(folder.rglob("*.py"))
        if path.parent.name != "operations" and (names := unfenced(path.read_text()))
    }
    assert not found


def test_the_rule_finds_what_it_is_for() -> None:
    source = "def work(handle: Handle) -> None:\n    store()\n\ndef store():\n    with transaction():\n        pass\n"
    assert unfenced(source) == ["store"]
    assert unfenced(source.replace("    store()", "    pass")) == []
