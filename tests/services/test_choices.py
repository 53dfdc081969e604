"""The names that menus and suggestions offer, and the filters that take a user's name."""

import pytest

from ravada_web.errors import NotAllowed
from ravada_web.services import choices, clone_requests, clones, operations, scopes
from ravada_web.services.clone_requests import Request
from tests.conftest import People
from tests.support.factories import make_base, make_nodes


def test_names_of_the_part_that_the_viewer_is_given(people: People) -> None:
    nodes = make_nodes(12)
    left, _right = make_base(nodes[:2], name="left"), make_base(nodes[2:], name="right")
    assert [row.name for row in choices.nodes(people.administrator)][:3] == ["n1", "n2", "n3"]
    assert [row.name for row in choices.nodes(people.administrator)][-1] == "n12"
    scopes.give(people.administrator, people.operator, [], [left])
    assert [row.id for row in choices.bases(people.operator)] == [left]
    assert [row.id for row in choices.nodes(people.operator)] == nodes[:2]
    assert choices.nodes(people.user) == choices.bases(people.user) == []


def test_suggestions_are_for_who_sees_users(people: People) -> None:
    assert choices.people(people.operator, "TOR") == ["administrator", "operator"]
    assert choices.people(people.operator, "%") == []
    with pytest.raises(NotAllowed):
        choices.people(people.user, "o")


def test_a_whole_name_filters_exactly_and_a_part_of_one_all_that_have_it(people: People) -> None:
    base = make_base(make_nodes(2))
    for who in (people.user, people.other, people.operator):
        clone_requests.request(people.administrator, Request(base, 1, who.name, who.name))
    found = {
        text: [row.owner.name for row in clones.listing(people.administrator, clones.Filters(owner=text)).items]
        for text in ("other", "o", "nobody", "use")
    }
    assert found == {"other": ["other"], "o": ["operator", "other"], "nobody": [], "use": ["user"]}
    mine = operations.listing(people.administrator, operations.Filters(user="administrator"))
    assert mine.total == 3 * 1
    assert operations.listing(people.administrator, operations.Filters(user="other")).total == 0
