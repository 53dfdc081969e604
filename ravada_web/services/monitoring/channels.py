"""The notification channels: mail and a webhook, as configured; and each one's last result."""

import hashlib
import hmac
import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.message import EmailMessage
from functools import partial

from redis.exceptions import RedisError

from ravada_web.clock import now
from ravada_web.config import Settings
from ravada_web.extensions import queues
from ravada_web.messages import Message, MessageError, message
from ravada_web.messages.foreign import printable

SECONDS = 15
KEY = "ravada:alerts:channels"

Send = Callable[[Message, Sequence[Message]], None]


class ChannelFailed(MessageError):
    """A channel did not take a message; `message` says why to an administrator."""


def configured(config: Settings) -> dict[str, Send]:
    """The channels that are set up, by name."""
    by_name: dict[str, Send] = {}
    if config.smtp_host and config.mail_to:
        by_name["mail"] = partial(_mail, config)
    if config.alert_webhook_url:
        by_name["webhook"] = partial(_webhook, config)
    return by_name


def _mail(config: Settings, subject: Message, lines: Sequence[Message]) -> None:
    mail = EmailMessage()
    # A header is one line, whatever a node's text holds.
    mail["Subject"] = "[Ravada] " + " ".join(str(subject).split())[:200]
    mail["From"], mail["To"] = config.mail_from, ", ".join(config.mail_to)
    mail.set_content("\n\n".join(map(str, lines)) + "\n")
    try:
        with _smtp(config) as server:
            if config.smtp_security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if config.smtp_user:
                server.login(config.smtp_user, config.smtp_password.get_secret_value())
            server.send_message(mail)
    except smtplib.SMTPException as error:
        refused = message("alerts.mail_refused", server=config.smtp_host, said=printable(str(error)))
        raise ChannelFailed(refused) from error


def _smtp(config: Settings) -> smtplib.SMTP:
    place = (config.smtp_host, config.smtp_port)
    if config.smtp_security == "tls":
        return smtplib.SMTP_SSL(*place, timeout=SECONDS, context=ssl.create_default_context())
    return smtplib.SMTP(*place, timeout=SECONDS)


def _webhook(config: Settings, subject: Message, lines: Sequence[Message]) -> None:
    """POST {"subject", "alerts"} in words and {"messages"} as kinds and figures; with a secret, its HMAC-SHA256 in
    X-Ravada-Signature."""
    alerts, messages = [str(line) for line in lines], [line.to_json() for line in lines]
    body = json.dumps({"subject": str(subject), "alerts": alerts, "messages": messages}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "ravada-web"}
    if secret := config.alert_webhook_secret.get_secret_value():
        headers["X-Ravada-Signature"] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    request = urllib.request.Request(config.alert_webhook_url, data=body, headers=headers)  # noqa: S310  checked by the settings
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        raise ChannelFailed(message("alerts.webhook_refused", status=error.code)) from error


def remember(name: str, error: Message) -> None:
    """Keep how a channel did: an empty message is well. Without Redis it is not kept."""
    with suppress(RedisError):
        queues.redis.hset(KEY, name, json.dumps({"at": now().timestamp(), "error": error.to_json() if error else ""}))


def last(config: Settings) -> dict[str, dict[str, object] | None]:
    """For each channel that is set up how it did last: {"at" (seconds since the epoch), "error" (a message)}, None for
    never."""
    try:
        stored = dict(queues.redis.hgetall(KEY))
    except RedisError:
        stored = {}
    outcomes = {key.decode() if isinstance(key, bytes) else key: json.loads(value) for key, value in stored.items()}
    return {name: _outcome(outcomes.get(name)) for name in configured(config)}


def _outcome(stored: dict[str, object] | None) -> dict[str, object] | None:
    return None if stored is None else stored | {"error": Message.from_json(stored["error"])}
