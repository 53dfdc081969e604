"""Pictures of desktops: shown to who may see the desktop, and to nobody else."""

import io
from collections.abc import Callable
from datetime import timedelta

from flask.testing import FlaskClient
from PIL import Image

from ravada_web.extensions import db, queues
from ravada_web.models import Base, Clone, Event, User, now
from ravada_web.services.consoles import rights as console_rights
from ravada_web.services.consoles import screenshots
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.web.conftest import World

SignInAs = Callable[[User | str], FlaskClient]


def made() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (48, 30), "navy").save(file, "WEBP")
    return file.getvalue()


def test_a_picture_is_for_its_user_and_for_operators(world: World, people: People, sign_in: SignInAs) -> None:
    screenshots.store(world.mine, made())
    for name, status, kept in (("user", 200, "private"), ("other", 404, "no-store"), ("operator", 200, "no-store")):
        answer = sign_in(name).get(f"/desktops/{world.mine}/picture")
        assert answer.status_code == status and kept in answer.headers["Cache-Control"]
    assert (answer.mimetype, answer.data) == ("image/webp", made())


def test_who_refuses_onlookers_refuses_them_the_pictures(world: World, people: People, sign_in: SignInAs) -> None:
    screenshots.store(world.mine, made())

    def seen() -> dict[str, int]:
        names = ("user", "operator", "administrator")
        return {name: sign_in(name).get(f"/desktops/{world.mine}/picture").status_code for name in names}

    with transaction() as session:
        clone = session.get_one(Clone, world.mine)
        clone.base.users_may_refuse = True
    console_rights.block_onlookers(people.user, world.mine, True)
    assert seen() == {"user": 200, "operator": 403, "administrator": 403}
    console_rights.block_onlookers(people.user, world.mine, False)
    assert set(seen().values()) == {200}
    console_rights.block_onlookers(people.user, world.mine, True)
    with transaction() as session:
        session.get_one(Base, world.base).users_may_refuse = False
    assert set(seen().values()) == {200}, "its base does not let users refuse any more"


def test_somebody_else_s_look_is_recorded_once_an_hour(world: World, people: People, sign_in: SignInAs) -> None:
    for clone_id in (world.mine, world.foreign):
        screenshots.store(clone_id, made())
    for _refresh in range(3):
        for name in ("user", "operator", "administrator"):
            sign_in(name).get(f"/desktops/{world.mine}/picture")
    sign_in("operator").get(f"/desktops/{world.foreign}/picture")

    def looks() -> list[tuple[str, int | None]]:
        rows = db.session.query(Event).filter_by(action="look_at_picture").order_by(Event.id)
        return [(row.actor, row.object_id) for row in rows]

    first = [("operator", world.mine), ("administrator", world.mine), ("operator", world.foreign)]
    assert looks() == first


def test_a_look_an_hour_later_is_another_one(world: World, people: People) -> None:
    screenshots.store(world.mine, made())
    with transaction() as session:
        old = {"actor": "operator", "action": "look_at_picture", "object_kind": "clone", "object_id": world.mine}
        session.add(Event(**old, at=now() - timedelta(minutes=61)))
    screenshots.show(people.operator, world.mine)
    screenshots.show(people.operator, world.mine)
    assert db.session.query(Event).filter_by(action="look_at_picture").count() == 2


def test_the_same_picture_is_no_news(world: World) -> None:
    assert screenshots.store(world.mine, made())
    assert not screenshots.store(world.mine, made())
    assert list(screenshots.times([world.mine, world.foreign])) == [world.mine]
    assert 0 < queues.redis.ttl(f"ravada:picture:{world.mine}") <= screenshots.KEPT_SECONDS
