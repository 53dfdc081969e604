"""The names that menus and suggestions offer, and the filters that take a user's name."""

import pytest

from ravada_web.errors import NotAllowed
from ravada_web.services.bases import listing as base_list
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.clones.requests import Request
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.operations import listing as operation_list
from ravada_web.services.people import names as user_names
from ravada_web.services.people import operator_scopes
from tests.conftest import People
from tests.support.factories import make_base, make_nodes


def test_names_of_the_part_that_the_viewer_is_given(people: People) -> None:
    nodes = make_nodes(12)
    left, _right = make_base(nodes[:2], name="left"), make_base(nodes[2:], name="right")
    assert [row.name for row in node_list.choices(people.administrator)][:3] == ["n1", "n2", "n3"]
    assert [row.name for row in node_list.choices(people.administrator)][-1] == "n12"
    operator_scopes.set_scope(people.administrator, people.operator, [], [left])
    assert [row.id for row in base_list.choices(people.operator)] == [left]
    assert [row.id for row in node_list.choices(people.operator)] == nodes[:2]
    assert node_list.choices(people.user) == base_list.choices(people.user) == []


def test_suggestions_are_for_who_sees_users(people: People) -> None:
    assert user_names.suggestions(people.operator, "TOR") == ["administrator", "operator"]
    assert user_names.suggestions(people.operator, "%") == []
    with pytest.raises(NotAllowed):
        user_names.suggestions(people.user, "o")


def test_a_whole_name_filters_exactly_and_a_part_of_one_all_that_have_it(people: People) -> None:
    base = make_base(make_nodes(2))
    for who in (people.user, people.other, people.operator):
        clone_requests.request_clones(people.administrator, Request(base, 1, who.name, who.name))
    found = {
        text: [row.owner.name for row in clone_list.listing(people.administrator, clone_list.Filters(owner=text)).items]
        for text in ("other", "o", "nobody", "use")
    }
    assert found == {"other": ["other"], "o": ["operator", "other"], "nobody": [], "use": ["user"]}
    mine = operation_list.listing(people.administrator, operation_list.Filters(user="administrator"))
    assert mine.total == 3 * 1
    assert operation_list.listing(people.administrator, operation_list.Filters(user="other")).total == 0
