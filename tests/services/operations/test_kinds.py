"""Kinds of operation: each has all that it needs and is asked for somewhere; nothing else is asked for."""

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from flask import Flask

import jobs
from ravada_web.services.clones.actions import Action
from ravada_web.services.operations.kinds import KINDS, QUEUES, kinds_on, queue_of
from ravada_web.services.operations.requests import request
from ravada_web.services.operations.subjects import JOINING_NODE, Subject
from ravada_web.web.labels import operations as labels

PRODUCT = Path(__file__).parents[3] / "ravada_web"
SIGNATURE = ["operation_id", "attempt"]


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_all_that_it_needs(name: str, app: Flask) -> None:
    kind = KINDS[name]
    assert kind.queue in QUEUES
    module, _dot, function = kind.job.rpartition(".")
    assert list(inspect.signature(getattr(import_module(module), function)).parameters) == SIGNATURE
    assert kind.timeout > 0
    assert isinstance(kind.subject, Subject)
    with app.test_request_context():
        assert str(labels.KINDS[name])[0].isupper()


def test_every_job_that_does_an_operation_is_of_a_kind() -> None:
    found = sorted(
        f"jobs.{path.stem}.{function.name}"
        for path in Path(str(jobs.__file__)).parent.glob("*.py")
        for function in ast.parse(path.read_text()).body
        if isinstance(function, ast.FunctionDef) and [argument.arg for argument in function.args.args] == SIGNATURE
    )
    assert found == sorted({kind.job for kind in KINDS.values()})


def test_every_kind_is_asked_for_and_nothing_else_is() -> None:
    asked = {kind for path in (PRODUCT / "services").rglob("*.py") for kind in _asked_for(ast.parse(path.read_text()))}
    assert asked == set(KINDS)


def test_hosts_that_join_and_images_that_are_read_keep_no_launch_waiting() -> None:
    slow = {name for name in KINDS if name.startswith(("node_", "base_", "replica_"))}
    assert slow >= set(kinds_on(JOINING_NODE))
    assert not [name for name in slow if queue_of(name, awaited=False) == "interactive"]


def test_a_node_is_worked_on_by_one_operation_of_its_joining() -> None:
    assert kinds_on(JOINING_NODE) == ("node_inspect", "node_key", "node_mend", "node_prove", "node_replace")


def _asked_for(module: ast.Module) -> Iterator[str]:
    """The kinds that a file passes to `request`, by way of its own functions too."""
    yield from _passed(module, request.__name__, list(inspect.signature(request).parameters).index("kind"))


def _passed(module: ast.Module, function: str, position: int) -> Iterator[str]:
    for outer in (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)):
        for call in (node for node in ast.walk(outer) if isinstance(node, ast.Call)):
            if ast.unparse(call.func).rpartition(".")[2] != function or len(call.args) <= position:
                continue
            match call.args[position]:
                case ast.Constant(value=str(kind)):
                    yield kind
                case ast.Name(id=constant) if constant.isupper():
                    yield str(_constants(module)[constant])
                case ast.Name(id=parameter):
                    own = [argument.arg for argument in outer.args.args]
                    # What only others call is asked for by the constants that are there for them.
                    called = list(_passed(module, outer.name, own.index(parameter)))
                    yield from called or set(KINDS) & set(_constants(module).values())
                case ast.Attribute(attr="kind", value=ast.Name(id="action")):
                    yield from _of_actions(module)
                case other:
                    pytest.fail(f"{ast.unparse(other)} in {outer.name} is not known to be a kind")


def _constants(module: ast.Module) -> dict[str, object]:
    """The texts that a file's constants are, by their names."""
    assigned = [node for node in module.body if isinstance(node, ast.Assign)]
    pairs = [
        pair
        for node in assigned
        for target in node.targets
        for pair in (
            zip(target.elts, node.value.elts, strict=False)
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
            else [(target, node.value)]
        )
    ]
    return {ast.unparse(name): value.value for name, value in pairs if isinstance(value, ast.Constant)}


def _of_actions(module: ast.Module) -> Iterator[str]:
    """The kinds of what can be done to clones, as the file lists it."""
    for call in (node for node in ast.walk(module) if isinstance(node, ast.Call)):
        if ast.unparse(call.func) == Action.__name__:
            yield ast.literal_eval(call.args[list(inspect.signature(Action).parameters).index("kind")])
