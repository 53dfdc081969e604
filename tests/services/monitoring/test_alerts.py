"""Alerts: one message a change, one for what flaps, each channel by itself; a real mail server and a real webhook."""

import asyncio
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import select, update

from jobs.nodes import count_reserve
from ravada_web.config import settings
from ravada_web.errors import Conflict, NotAllowed
from ravada_web.extensions import db, queues
from ravada_web.messages import Message
from ravada_web.models import Alert, Node, Observed, ServiceState, Trust, now
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.monitoring import alerts, channels, notifications
from ravada_web.services.operations.execution import run
from ravada_web.services.people import operator_scopes
from ravada_web.services.placements import reserve
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_base, make_nodes
from tests.support.sshd import free_port
from tests.support.stone import refuse_updates, take_updates


def as_read(raw: bytes) -> str:
    """A mail's subject and text, as its reader has them."""
    mail = message_from_bytes(raw, policy=policy.default)
    return f"Subject: {mail['Subject']}\n\n{mail.get_content()}"


class Mailbox:
    """An SMTP server (RFC 5321, as much as a client needs) that keeps what it was given."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                await writer.drain()
                self.mails.append(as_read(await reader.readuntil(b"\r\n.\r\n")))
            writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            await writer.drain()
            if verb == b"QUIT":
                break
        writer.close()
        await writer.wait_closed()


@pytest.fixture
def mailbox(app: Flask) -> Iterator[Mailbox]:
    """A mail server, and the product told to use it."""
    box, loop, ready, over = Mailbox(), asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with await asyncio.start_server(box.serve, "127.0.0.1", 0) as server:
            box.port = server.sockets[0].getsockname()[1]
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    config = settings()
    config.smtp_host, config.smtp_port, config.mail_to = "127.0.0.1", box.port, ["ops@example.org"]
    yield box
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


@contextmanager
def webhook() -> Iterator[tuple[str, list[tuple[bytes, str]]]]:
    """A web server that keeps what was posted, with its signature."""
    posted: list[tuple[bytes, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((body, self.headers.get("X-Ravada-Signature", "")))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", posted
        server.shutdown()
        thread.join()


def seen(node_ids: list[int], observed: Observed, reason: str = "", minutes_ago: float = 0) -> None:
    """What a check saw of nodes."""
    moment = now() - timedelta(minutes=minutes_ago)
    with transaction() as session:
        rows = [session.get_one(Node, node_id) for node_id in node_ids]
        for node in rows:
            node.observed, node.reason = observed, reason
        alerts.update(session, rows, moment)


def test_a_death_is_told_once_with_its_reason_and_its_return_when_it_has_settled(mailbox: Mailbox) -> None:
    (node,) = make_nodes(1)
    seen([node], Observed.DOWN, "n1 did not answer at 192.0.2.1 port 22.", minutes_ago=1)
    assert notifications.is_due()
    notifications.send_due()
    notifications.send_due()
    assert len(mailbox.mails) == 1
    assert "Subject: [Ravada] Node n1: down" in mailbox.mails[0] and "did not answer at 192.0.2.1" in mailbox.mails[0]
    seen([node], Observed.UP, minutes_ago=1)
    assert not notifications.is_due()
    with transaction() as session:
        session.query(alerts.Alert).one().since = now() - timedelta(minutes=5)
    notifications.send_due()
    assert len(mailbox.mails) == 2 and "recovered" in mailbox.mails[1]


def test_a_flapping_node_is_one_message(mailbox: Mailbox) -> None:
    (node,) = make_nodes(1)
    for _time in range(6):
        seen([node], Observed.DOWN, "gone")
        notifications.send_due()
        seen([node], Observed.UP)
        notifications.send_due()
    assert len(mailbox.mails) == 1


def test_many_at_once_are_one_message(mailbox: Mailbox) -> None:
    nodes = make_nodes(30)
    seen(nodes[:20], Observed.DOWN, "gone")
    assert not notifications.is_due(), "the others of its rack may follow within a moment"
    seen(nodes[20:], Observed.DOWN, "gone")
    notifications.send_due()
    assert len(mailbox.mails) == 1 and "Problems: 30, recovered: 0" in mailbox.mails[0]
    assert mailbox.mails[0].count("down since") == 1 and "n29" in mailbox.mails[0] and "n30" in mailbox.mails[0]
    seen(nodes, Observed.UP, minutes_ago=5)
    notifications.send_due()
    assert len(mailbox.mails) == 2 and mailbox.mails[1].count("recovered (were: down)") == 1


def test_a_channel_that_fails_holds_up_no_other_and_is_tried_again(app: Flask) -> None:
    (node,) = make_nodes(1)
    config = settings()
    config.smtp_host, config.smtp_port, config.mail_to = "127.0.0.1", free_port(), ["ops@example.org"]
    config.alert_webhook_secret = SecretStr("salt")
    with webhook() as (address, posted):
        config.alert_webhook_url = address
        seen([node], Observed.DOWN, "gone", minutes_ago=1)
        notifications.send_due()
        notifications.send_due()
        assert len(posted) == 1
        body, signature = posted[0]
        sent = json.loads(body)
        assert sent["subject"] == "Node n1: down" and sent["alerts"][0].startswith("Node n1: down since ")
        (told,) = sent["messages"]
        assert told["kind"] == "alerts.began" and told["figures"]["why"]["figures"]["text"] == "gone"
        assert signature == "sha256=" + hmac.new(b"salt", body, hashlib.sha256).hexdigest()
        assert notifications.is_due(), "the mail is still to be sent"
        assert queues.redis.exists("ravada:alerts:pause:mail")


def test_a_mail_server_that_comes_back_gets_what_it_missed(mailbox: Mailbox) -> None:
    (node,) = make_nodes(1)
    right = settings().smtp_port
    settings().smtp_port = free_port()
    seen([node], Observed.DOWN, "gone")
    notifications.send_due()
    settings().smtp_port = right
    queues.redis.delete("ravada:alerts:pause:mail")
    notifications.send_due()
    assert len(mailbox.mails) == 1
    assert not notifications.is_due()


def test_what_a_killed_worker_did_not_send_is_told_by_the_next(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (node,) = make_nodes(1)
    seen([node], Observed.DOWN, "gone")
    with monkeypatch.context() as killed:

        def dies(_config: Any) -> dict[str, channels.Send]:
            def send(_subject: Message, _lines: Any) -> None:
                raise SystemExit

            return {"mail": send}

        killed.setattr(channels, "configured", dies)
        with pytest.raises(SystemExit):
            notifications.send_due()
    notifications.send_due()
    assert len(mailbox.mails) == 1


def test_what_one_channel_was_told_is_taken_back_there_though_another_never_heard_of_it(mailbox: Mailbox) -> None:
    (node,) = make_nodes(1)
    with webhook() as (address, posted):
        settings().alert_webhook_url = f"http://127.0.0.1:{free_port()}/"
        seen([node], Observed.DOWN, "gone")
        notifications.send_due()
        assert len(mailbox.mails) == 1 and posted == []
        seen([node], Observed.UP, minutes_ago=5)
        settings().alert_webhook_url = address
        queues.redis.delete("ravada:alerts:pause:webhook")
        notifications.send_due()
        assert len(mailbox.mails) == 2 and "recovered" in mailbox.mails[1]
        assert posted == [] and not notifications.is_due()
        seen([node], Observed.DOWN, "gone again")
        notifications.send_due()
        assert len(mailbox.mails) == 3 and len(posted) == 1


def test_an_odd_row_holds_up_no_other_and_is_told_the_next_time(mailbox: Mailbox) -> None:
    first, odd = make_nodes(2)
    seen([first, odd], Observed.DOWN, "Gone.", minutes_ago=1)
    with transaction() as session:
        session.scalars(select(Alert).where(Alert.node_id == odd)).one().told = {"mail": 7}
    assert notifications.is_due()
    notifications.send_due()
    assert len(mailbox.mails) == 1 and "n1" in mailbox.mails[0]
    assert notifications.is_due()
    notifications.send_due()
    assert len(mailbox.mails) == 2


def test_an_alert_whose_row_takes_nothing_is_sent_once_and_holds_up_no_other(mailbox: Mailbox) -> None:
    ids = make_nodes(2)
    for node_id in ids:
        seen([node_id], Observed.DOWN)
    stone = db.session.scalars(select(Alert.id).where(Alert.node_id == ids[0])).one()
    refuse_updates("alerts", stone)
    for _try in range(3):
        notifications.send_due()
    assert len(mailbox.mails) == 1
    assert db.session.scalars(select(Alert.untold).order_by(Alert.id)).all() == [True, False]
    assert not notifications.is_due()
    seen([ids[1]], Observed.UP, minutes_ago=10)
    notifications.send_due()
    assert len(mailbox.mails) == 2 and not notifications.is_due()
    queues.redis.hset(notifications._told_key("mail"), "77", b"\xff[")
    take_updates("alerts")
    seen([ids[0]], Observed.UP, minutes_ago=10)
    notifications.send_due()
    assert len(mailbox.mails) == 3


def test_a_test_message_says_how_each_channel_did(people: People, mailbox: Mailbox) -> None:
    config = settings()
    operation = notifications.request_test(people.administrator)
    run(operation.id, operation.attempt, notifications.send_test)
    assert "Subject: [Ravada] Test message" in mailbox.mails[0]
    config.smtp_port = free_port()
    operation = notifications.request_test(people.administrator)
    run(operation.id, operation.attempt, notifications.send_test)
    db.session.refresh(operation)
    assert operation.state == "failed" and operation.error.kind == "alerts.test_failed"
    assert re.search("mail: .*refused", str(operation.error))
    assert "refused" in str((channels.last(config)["mail"] or {})["error"])
    with pytest.raises(NotAllowed):
        notifications.request_test(people.operator)


def test_without_a_channel_there_is_no_test_message(people: People) -> None:
    with pytest.raises(Conflict, match="RAVADA_MAIL_TO"):
        notifications.request_test(people.administrator)


def test_a_pool_is_an_alert_before_it_is_full_and_quiet_nodes_are_none(people: People) -> None:
    first, second = make_nodes(2)
    with transaction() as session:
        for node_id in (first, second):
            session.get_one(Node, node_id).pools[0].free_mib = 15_000
        session.get_one(Node, second).service_state = ServiceState.DISABLED
    seen([first, second], Observed.UP)
    (alert,) = alerts.current(people.administrator)
    assert (alert.state, alert.node_id, alert.text.kind) == ("warning", first, "alerts.pool_full")
    assert alert.text.figures["used_percent"] == 85
    with transaction() as session:
        session.get_one(Node, first).pools[0].free_mib = 5_000
        session.get_one(Node, first).trust = Trust.CHANGED
    seen([first], Observed.DOWN, "another key")
    assert [alert.state for alert in alerts.current(people.administrator)] == ["quarantined", "warning"]
    summary = alerts.summary(people.administrator)
    assert (summary.nodes, summary.pools, summary.worst) == ({"quarantined": ["n1"]}, 1, 3)


def test_without_a_channel_the_page_is_enough(app: Flask) -> None:
    seen(make_nodes(1), Observed.DOWN, "gone")
    notifications.send_due()
    db.session.rollback()
    assert not notifications.is_due()


def test_too_little_room_for_the_loss_of_a_node_is_one_alert_of_the_cluster_while_it_is_to_be_kept(
    people: People, mailbox: Mailbox
) -> None:
    n1, n2, n3 = make_nodes(3, memory_mib=2048)
    base = make_base([n1, n2, n3], memory_mib=1024)
    reserve.set_kept(people.administrator, True)
    request_clones(people.administrator, Request(base, 3, "pc", people.user.name, True, start_after=True))
    count_reserve()
    assert alerts.current(people.administrator) == []
    with transaction() as session:
        session.execute(update(Node).where(Node.id == n2).values(memory_total_mib=1024))
        session.execute(update(Node).where(Node.id == n3).values(observed=Observed.DOWN))
    for _twice in range(2):
        count_reserve()
    (alert,) = alerts.current(people.administrator)
    assert (alert.node, alert.state, alert.changes) == (None, "short", 0)
    assert "of memory is missing" in str(alerts.summary(people.administrator).cluster)
    operator_scopes.set_scope(people.administrator, people.operator, [n1], [])
    assert alerts.current(people.operator) == [] and not alerts.summary(people.operator).cluster
    notifications.send_due()
    assert "Cluster: too little room for the loss of one node" in mailbox.mails[0]
    reserve.set_kept(people.administrator, False)
    count_reserve()
    assert alerts.current(people.administrator) == [] and len(alerts.ended(people.administrator)) == 1
