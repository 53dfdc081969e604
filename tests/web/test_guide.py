"""The guide to a new node: what the checks found and the steps of its test, of now and of before there were kinds."""

from collections.abc import Callable

from flask.testing import FlaskClient

from ravada_web.messages import message
from ravada_web.models import Access, Node
from ravada_web.services.joining.checks.findings import Finding
from ravada_web.services.transaction import transaction
from tests.web.conftest import World

SLOW = Finding("ssh", "warn", message("joining.ssh_slow", login_ms=1_500.0), "echo 'UseDNS no'")
OLD = {"code": "kvm", "state": "pass", "text": "A sentence of before.", "remedy": "", "applied": True}
STEPS = [
    {"code": "link", "text": message("joining.step_link").to_json(), "state": "pass", "seconds": 0.1},
    {"code": "disk", "text": "A step of before.", "state": "fail", "seconds": 0.2},
]


def test_findings_and_steps_are_worded_in_the_readers_language(
    world: World, sign_in: Callable[[str], FlaskClient]
) -> None:
    with transaction() as session:
        node = session.get_one(Node, world.nodes[1])
        node.access, node.findings, node.proof = Access.ROOT, [SLOW.to_dict(), OLD], STEPS
    page = sign_in("administrator").get(world.path("/nodes/{node}/join"))
    assert page.status_code == 200
    for said in (str(SLOW.text), "1,500 ms", "echo &#39;UseDNS no&#39;", "A sentence of before.", "Connection up"):
        assert said in page.text
    assert "A step of before." in page.text and "&#39;kind&#39;" not in page.text
