"""Pictures of real screens, taken by the job's own work: for who is about, small, and of what the guest shows."""

import io

from PIL import Image

from ravada_web.models import CloneState
from ravada_web.services.consoles import screenshot_work, screenshots
from ravada_web.services.sign_in import sessions
from tests.support.cluster import Cluster
from tests.support.servers import wait_until


def test_a_running_desktop_has_its_picture(cluster: Cluster) -> None:
    (clone,) = cluster.create("photo", 1, "--start")
    cluster.wait_state("photo", CloneState.RUNNING)
    sessions.begin(cluster.admin, "127.0.0.1", "a test")
    assert clone.id in [clone_id for lot in screenshot_work.due() for clone_id in lot]

    def shows_something() -> bool:
        screenshot_work.capture([clone.id])
        found = screenshots.picture(clone.id)
        if found is None:
            return False
        with Image.open(io.BytesIO(found)) as image:
            return image.format == "WEBP" and image.width <= 480 and image.convert("L").getextrema()[1] > 100

    wait_until(shows_something, 30, "its picture shows its screen", poll=0.5)
    cluster.flask("clones", "stop", "--force", clone.name, "--wait")
    cluster.wait_state("photo", CloneState.STOPPED)
    assert clone.id not in [clone_id for lot in screenshot_work.due() for clone_id in lot]
