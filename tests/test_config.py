"""Settings: where things are, whatever the data folder is called."""

from pathlib import Path

import pytest
from flask_migrate import upgrade

from ravada_web import create_app
from ravada_web.config import LONGEST_RUN_DIR, PLAIN_PATH, Settings
from ravada_web.extensions import db
from ravada_web.models import User

NAMES = ["with a blank", "100%41", "ñandú", "it's", 'a "quoted" one', "x" * 80]


def test_sockets_are_in_the_data_folder_where_every_program_reads_its_path_alike() -> None:
    assert Settings(data=Path("/srv/ravada_web-1.0")).run_dir == Path("/srv/ravada_web-1.0/run")


@pytest.mark.parametrize("name", NAMES)
def test_sockets_have_a_plain_path_of_their_own_for_each_data_folder(name: str) -> None:
    run_dir = Settings(data=Path("/srv") / name).run_dir
    assert PLAIN_PATH.fullmatch(str(run_dir)) and len(str(run_dir)) <= LONGEST_RUN_DIR
    assert run_dir == Settings(data=Path("/srv") / name).run_dir != Settings(data=Path("/srv") / f"{name}2").run_dir


@pytest.mark.parametrize("name", [*NAMES, "what? & #1"])
def test_the_database_is_in_the_data_folder(tmp_path: Path, name: str) -> None:
    app = create_app(Settings(data=tmp_path / name, redis_url="unix:///nowhere"))
    with app.app_context():
        upgrade()
        assert db.session.query(User).count() == 0
        db.session.remove()
    assert (tmp_path / name / "ravada.sqlite").stat().st_size > 0
