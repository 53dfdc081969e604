"""Viewer files: fetched once, by the person who asked; what waits in Redis is sealed."""

import pytest

from ravada_web.errors import NotFound
from ravada_web.extensions import queues
from ravada_web.models import User
from ravada_web.services.consoles import viewer_files
from ravada_web.services.operations.requests import request
from ravada_web.services.transaction import transaction
from tests.conftest import People

CLONE = 7
WHERE = {"host": "192.0.2.1", "port": 5900, "tls_port": 0, "password": "horse-battery", "title": "desk-1"}


def offered(user: User) -> int:
    """An operation of the user's whose job has left what the file needs."""
    with transaction() as session:
        operation = request(session, "viewer_offer", "A viewer", actor=user, params={"clone_id": CLONE})
        operation_id = operation.id
    viewer_files._store(operation_id, WHERE)
    return operation_id


def test_a_file_is_fetched_once(people: People) -> None:
    operation_id = offered(people.user)
    text = viewer_files.file_of(people.user, CLONE, operation_id)
    assert "host=192.0.2.1" in text and "password=horse-battery" in text and "port=5900" in text
    with pytest.raises(NotFound, match="already downloaded"):
        viewer_files.file_of(people.user, CLONE, operation_id)


def test_nobody_else_fetches_it_nor_for_another_desktop(people: People) -> None:
    operation_id = offered(people.user)
    for person, clone in ((people.other, CLONE), (people.administrator, CLONE), (people.user, CLONE + 1)):
        with pytest.raises(NotFound):
            viewer_files.file_of(person, clone, operation_id)
    assert "horse-battery" in viewer_files.file_of(people.user, CLONE, operation_id)


def test_what_waits_is_sealed_and_does_not_stay(people: People) -> None:
    key = f"ravada:viewer:{offered(people.user)}"
    assert b"horse" not in queues.redis.get(key)
    assert 0 < queues.redis.ttl(key) <= viewer_files.TICKET_SECONDS
