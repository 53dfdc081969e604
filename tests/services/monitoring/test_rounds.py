"""Rounds of checks: the sick apart from the healthy, in parts, and no more than the workers can do."""

from flask import Flask
from sqlalchemy import update

from ravada_web.models import Node, Observed
from ravada_web.services.monitoring import rounds
from ravada_web.services.operations.outbox import queue
from ravada_web.services.transaction import transaction
from tests.support.factories import make_nodes


def test_the_sick_are_checked_apart_from_the_healthy(app: Flask) -> None:
    nodes = make_nodes(5)
    with transaction() as session:
        session.execute(update(Node).where(Node.id == nodes[2]).values(observed=Observed.DOWN))
    assert rounds.part() == [[nodes[0], nodes[1], nodes[3], nodes[4]], [nodes[2]]]


def test_many_nodes_are_checked_in_parts_each_once_an_interval(app: Flask) -> None:
    nodes = make_nodes(25)
    lots = [lot for number in range(5) for lot in rounds.part(number, 5)]
    assert len(lots) == 2, "of 25 nodes two parts are worth it"
    assert sorted(node for lot in lots for node in lot) == nodes


def test_where_the_workers_do_not_keep_up_the_next_part_waits(app: Flask) -> None:
    nodes = make_nodes(40)
    interval = rounds.Rounds(5)
    lots = []
    for _second in range(10):
        for lot in interval.due():
            lots.append(lot)
            queue("checks").enqueue("jobs.nodes.check", *lot)
    assert len(lots) == 3, "two for the one worker there might be, and the one that came on top"
    queue("checks").empty()
    assert interval.due() == [[node for node in nodes if node % 4 == 3]], "it goes on with the part that waited"
