"""Pictures of desktops: shown to who may see the desktop, and to nobody else."""

import io
from collections.abc import Callable

from flask.testing import FlaskClient
from PIL import Image

from ravada_web.extensions import queues
from ravada_web.models import User
from ravada_web.services.consoles import screenshots
from tests.conftest import People
from tests.web.conftest import World

SignInAs = Callable[[User | str], FlaskClient]


def made() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (48, 30), "navy").save(file, "WEBP")
    return file.getvalue()


def test_a_picture_is_for_its_user_and_for_operators(world: World, people: People, sign_in: SignInAs) -> None:
    screenshots.store(world.mine, made())
    for name, status in (("user", 200), ("other", 404), ("operator", 200)):
        answer = sign_in(name).get(f"/desktops/{world.mine}/picture")
        assert answer.status_code == status
    assert (answer.mimetype, answer.data) == ("image/webp", made())
    assert "private" in answer.headers["Cache-Control"]


def test_the_same_picture_is_no_news(world: World) -> None:
    assert screenshots.store(world.mine, made())
    assert not screenshots.store(world.mine, made())
    assert list(screenshots.times([world.mine, world.foreign])) == [world.mine]
    assert 0 < queues.redis.ttl(f"ravada:picture:{world.mine}") <= screenshots.KEPT_SECONDS
