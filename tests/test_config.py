"""Settings: where things are, whatever the data folder is called."""

from pathlib import Path

import pytest
from flask_migrate import upgrade
from pydantic import ValidationError

from ravada_web import create_app
from ravada_web.config import LONGEST_RUN_DIR, PLAIN_PATH, Settings, read_settings
from ravada_web.errors import CannotRun
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


@pytest.mark.parametrize(
    "url",
    [
        "",
        "unix:///run/redis/redis.sock",
        "unix://ravada:secret@/run/redis/redis.sock?db=1",
        "redis://localhost:6379/0",
        "redis://127.0.0.1",
        "redis://127.8.9.10:6379",
        "redis://[::1]:6379/0",
        "redis://[::ffff:127.0.0.1]/0",
        "rediss://localhost:6380",
        "rediss://ravada:secret@redis.example.org:6380/0",
        "rediss://ravada:secret@192.0.2.7/0?ssl_ca_certs=/etc/ssl/ours.pem",
        "rediss://redis.example.org/0?username=ravada&password=secret",
    ],
)
def test_a_redis_on_this_host_or_behind_tls_and_a_password_is_used(url: str) -> None:
    assert Settings(redis_url=url).redis_url.endswith(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis.example.org",
        "redis://ravada:secret@redis.example.org:6379/0",
        "redis://192.0.2.7/0",
        "redis://0.0.0.0/0",
        "redis://[2001:db8::7]/0",
        "redis://127.0.0.1.example.org/0",
        "redis://localhost@redis.example.org/0",
        "redis:///0?host=redis.example.org",
        "rediss://redis.example.org:6380/0",
        "rediss://:secret@redis.example.org/0",
        "rediss://ravada@redis.example.org/0",
        "rediss://ravada:secret@redis.example.org/0?ssl_cert_reqs=none",
        "rediss://ravada:secret@redis.example.org/0?ssl_cert_reqs=optional",
        "rediss://ravada:secret@redis.example.org/0?ssl_check_hostname=false",
    ],
)
def test_a_redis_on_the_network_without_either_is_refused_in_one_sentence(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAVADA_REDIS_URL", url)
    with pytest.raises(CannotRun) as refused:
        read_settings()
    said = str(refused.value)
    assert said.startswith("The setting RAVADA_REDIS_URL is wrong: a Redis on the network needs TLS")
    assert "secret" not in said and said.count(".\n") == 0 and said.endswith(".")
    with pytest.raises(ValidationError) as error:
        Settings(redis_url=url)
    assert "secret" not in str(error.value), "not in a traceback either"


@pytest.mark.parametrize(
    "url", ["http://192.0.2.7:8080/hook", "https://hooks.example.org/services/T0/B0?key=value", ""]
)
def test_a_webhook_is_a_url_of_http(url: str) -> None:
    assert Settings(alert_webhook_url=url).alert_webhook_url == url


@pytest.mark.parametrize(
    "url",
    [
        "gopher://hooks.example.org/very-secret",
        "https:///very-secret",
        "https://hooks.example.org:very-secret/",
        "https://user:very-secret@hooks.example.org/",
        "https://hooks.example.org/very-secret with a blank",
        "https://hooks.example.org/very-secret\n",
        "https://[very-secret/",
    ],
)
def test_a_webhook_that_http_would_refuse_in_words_that_quote_it_is_refused_at_the_start(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAVADA_ALERT_WEBHOOK_URL", url)
    with pytest.raises(CannotRun, match="RAVADA_ALERT_WEBHOOK_URL") as caught:
        read_settings()
    assert "very-secret" not in str(caught.value)


def test_a_password_whose_end_would_be_taken_for_the_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAVADA_DATABASE_URL", "postgresql+psycopg://ravada:very@secret@db.example.org/ravada")
    with pytest.raises(CannotRun, match="%40") as caught:
        read_settings()
    assert "secret@" not in str(caught.value)
    written = "postgresql+psycopg://ravada:very%40secret@db.example.org/ravada"
    assert Settings(database_url=written).database_url == written
