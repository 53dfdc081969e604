"""The pages of a node's power control."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Fence, Operation
from ravada_web.services.lifecycle import fence_agents
from tests.web.conftest import World

pytestmark = pytest.mark.skipif(
    not (fence_agents.FOLDER / "fence_redfish").exists(), reason="no fence agents (apt install fence-agents)"
)
SignIn = Callable[[str], FlaskClient]
ENTERED = {
    "agent": "fence_redfish",
    "option-ip": "192.0.2.9",
    "option-username": "root",
    "option-password": "very-secret-1",
}


def test_it_is_set_up_shown_without_its_password_and_removed(world: World, sign_in: SignIn) -> None:
    client, page = sign_in("administrator"), world.path("/nodes/{node}")
    assert f"{page}/fence" in client.get(page).text
    form = client.get(f"{page}/fence?agent=fence_redfish").text
    assert 'name="option-ip"' in form and 'type="password"' in form and "Login name" in form
    assert "option-debug_file" not in form and "option-password_script" not in form
    assert client.post(f"{page}/fence", data=ENTERED).status_code == 303
    shown = client.get(page).text + client.get(f"{page}/fence").text
    assert "fence_redfish" in shown and "192.0.2.9" in shown and "very-secret-1" not in shown
    asked = client.post(f"{page}/fence/off", data={"typed": "another"})
    assert asked.status_code == 422 and 'name="typed"' in asked.text
    assert client.post(f"{page}/fence/off", data={"typed": "n2"}).status_code == 303
    assert client.post(f"{page}/fence/test").status_code == 303
    kinds = db.session.scalars(select(Operation.kind).order_by(Operation.id)).all()
    assert kinds[-2:] == ["fence_off", "fence_test"]
    assert client.post(f"{page}/fence/remove").status_code == 303
    assert db.session.scalars(select(Fence)).all() == []


def test_a_wrong_option_is_said_in_the_same_form(world: World, sign_in: SignIn) -> None:
    client, page = sign_in("administrator"), world.path("/nodes/{node}/fence")
    said = client.post(page, data=ENTERED | {"option-ipport": "https", "option-username": ""})
    assert said.status_code == 422 and said.text.count('aria-invalid="true"') == 2
    assert 'value="192.0.2.9"' in said.text and "very-secret-1" not in said.text
    assert db.session.scalars(select(Fence)).all() == []


def test_where_no_agents_are_installed_the_page_says_what_to_install(
    world: World, sign_in: SignIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence_agents, "FOLDER", tmp_path)
    client, page = sign_in("administrator"), world.path("/nodes/{node}/fence")
    assert "apt install fence-agents" in client.get(page).text
    assert client.post(page, data=ENTERED).status_code == 409


def test_an_operator_sees_nothing_of_it(world: World, sign_in: SignIn) -> None:
    assert "/fence" not in sign_in("operator").get(world.path("/nodes/{node}")).text
