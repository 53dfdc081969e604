"""All settings, read once from the environment (`RAVADA_…`) and checked; nothing else reads the environment."""

import hashlib
import ipaddress
import os
import re
import secrets
import shlex
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import limits
from flask import current_app
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError
from redis import ConnectionPool, SSLConnection, UnixDomainSocketConnection
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ravada_web import addresses
from ravada_web.errors import CannotRun

# A unix socket's path holds 107 bytes (unix(7)); OpenSSH adds 17 of its own to a control socket while it binds it.
LONGEST_RUN_DIR = 56
DATABASE = "ravada.sqlite"
# What Redis's client, OpenSSH and libvirt all read alike in the path of a socket: no blank, no percent sign.
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._@+-]+")

REMOTE_REDIS = (
    "a Redis on the network needs TLS with a verified certificate, and a user with a password, "
    "as in rediss://ravada:PASSWORD@redis.example.org:6380/0"
)
# What grows, by the names of its ages.
Kept = Literal["operations", "consoles", "decisions", "sessions", "samples", "events"]

WHAT_TO_DO = (
    "Run this as the user who owns the data folder (`make run` runs as root), or set RAVADA_DATA to another folder."
)


class Settings(BaseSettings):
    """What an installation may set. Every field is an environment variable `RAVADA_<NAME>`.

    Paths are made absolute. Sizes are MiB, times seconds.
    """

    # Errors name the setting, and do not show its value, which may hold a password.
    model_config = SettingsConfigDict(env_prefix="RAVADA_", hide_input_in_errors=True)

    data: Path = Path("var")
    database_url: str = ""
    redis_url: str = ""
    # "local": this host's own libvirt is the master node. "ssh": the first node added is.
    master: Literal["local", "ssh"] = "local"
    # Of mail, webhooks and commands, and of pages where neither the account nor the browser says another.
    language: Literal["en", "es"] = "en"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    # Set where HTTPS ends in front of us: cookies are then sent over HTTPS alone.
    https: bool = False
    # Addresses and networks of reverse proxies in front of us, whose X-Forwarded-For and -Proto are believed.
    trusted_proxies: list[str] = Field(default_factory=list)
    # Our own certificate and its key (PEM), for HTTPS without a reverse proxy.
    tls_cert: Path | None = None
    tls_key: Path | None = None
    session_idle_hours: float = Field(default=12, gt=0)
    session_days: float = Field(default=7, gt=0)
    # One more sign-in ends the session that was not used for longest.
    sessions_per_user: int = Field(default=20, ge=1)
    # Roles whose people must use a second factor.
    second_factor_roles: list[str] = Field(default_factory=list)
    consoles_per_user: int = Field(default=10, ge=1)
    viewers_per_clone: int = Field(default=3, ge=0)
    picture_interval: float = Field(default=20.0, gt=0)
    check_interval: float = Field(default=5.0, gt=0)
    # Run to wake a node's host, with its name, address and MAC address as further words.
    wake_command: str = ""
    # How long a node that refuses connections is waited for before its volatile clones are made again elsewhere.
    remake_grace: float = Field(default=30.0, ge=0)
    clone_batch: int = Field(default=25, ge=1, le=100)
    clones_per_request: int = Field(default=1000, ge=1)
    builds_per_node: int = Field(default=2, ge=1)
    copies_per_node: int = Field(default=2, ge=1)
    # What a desktop that moves while it runs may take of the network, MiB a second; 0 is no limit.
    move_mib_per_second: int = Field(default=0, ge=0)
    disk_reserve_mib: int = Field(default=1024, ge=0)
    # What one new overlay is charged on its pool until the pool's own figure shows it.
    overlay_charge_mib: int = Field(default=16, ge=0)
    weights: dict[str, float] = Field(default_factory=dict)
    # Days that rows stay in the database before they go to the archive, where not the usual ones (services.retention).
    keep_days: dict[Kept, Annotated[float, Field(ge=1, le=36_500)]] = Field(default_factory=dict)
    # Where notifications of alerts go: mail, a webhook, or both.
    smtp_host: str = ""
    smtp_port: int = Field(default=25, ge=1, le=65535)
    smtp_security: Literal["none", "starttls", "tls"] = "none"
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    mail_from: str = "ravada@localhost"
    mail_to: list[str] = Field(default_factory=list)
    alert_webhook_url: str = ""
    alert_webhook_secret: SecretStr = SecretStr("")
    # A recovery is sent only once it has lasted this long: what flaps is one message.
    alert_settle: float = Field(default=120.0, ge=0)
    # Wrong passwords that are free: for a name from one address (or one browser that is known), for a name from
    # anywhere, and for all names from one address.
    login_limit: str = "10 per minute"
    login_limit_per_name: str = "60 per 10 minute"
    login_limit_per_address: str = "600 per 10 minute"

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, url: str) -> str:
        try:
            made = make_url(url) if url else None
            if made:
                made.get_dialect().import_dbapi()
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise ValueError("this version needs one such as postgresql+psycopg://user@host/name") from error
        # The rest of the password would be taken for the host, and be in every message about it.
        if made and made.host and "@" in made.host:
            raise ValueError("an @ in the password is written %40, and other special characters alike")
        return url

    @field_validator("alert_webhook_url")
    @classmethod
    def _is_webhook(cls, url: str) -> str:
        """What HTTP's client would refuse later, quoting what may be a secret in its message."""
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            good = False
        if url and not (good and url.isascii() and url.isprintable() and " " not in url):
            raise ValueError("this is no URL such as https://hooks.example.org/path?key=value")
        if "@" in urlsplit(url).netloc:
            raise ValueError("no user and password can be sent there: it is a URL with a secret in its path")
        return url

    @field_validator("wake_command")
    @classmethod
    def _is_command(cls, line: str) -> str:
        shlex.split(line)
        return line

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: str) -> str:
        if url and not _is_private(ConnectionPool.from_url(url)):
            raise ValueError(REMOTE_REDIS)
        return url

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, texts: list[str]) -> list[str]:
        for text in texts:
            addresses.network(text)
        return texts

    @field_validator("login_limit", "login_limit_per_name", "login_limit_per_address")
    @classmethod
    def _is_limit(cls, text: str) -> str:
        limits.parse(text)
        return text

    def model_post_init(self, _context: object) -> None:
        """Fill in what follows from the other settings."""
        self.data = self.data.resolve()
        self.database_url = self.database_url or self._own_database
        self.redis_url = self.redis_url or f"unix://{self.redis_socket}"
        self.https = self.https or self.tls_cert is not None

    @cached_property
    def proxies(self) -> tuple[addresses.Network, ...]:
        """The networks of trusted proxies."""
        return tuple(addresses.network(text) for text in self.trusted_proxies)

    @property
    def run_dir(self) -> Path:
        """The private folder of sockets: in the data folder, or under /tmp where that path is too long, or has letters
        that other programs would read differently."""
        inside = self.data / "run"
        if len(str(inside)) <= LONGEST_RUN_DIR and PLAIN_PATH.fullmatch(str(inside)):
            return inside
        digest = hashlib.sha256(str(self.data).encode()).hexdigest()[:12]
        owner = self.data.stat().st_uid if self.data.exists() else os.getuid()
        return Path(f"/tmp/ravada-{owner}-{digest}")  # noqa: S108  made 0700 and its owner checked below

    @property
    def _own_database(self) -> str:
        return URL.create("sqlite", database=str(self.data / DATABASE)).render_as_string()

    @property
    def has_own_database(self) -> bool:
        """Whether the database is the SQLite of the data folder."""
        return self.database_url == self._own_database

    @property
    def has_own_redis(self) -> bool:
        """Whether a private Redis runs as one of our processes."""
        return self.redis_url == f"unix://{self.redis_socket}"

    @property
    def foreign_redis_socket(self) -> Path | None:
        """The socket of a Redis of this host that is not ours; None where ours runs, or one is reached otherwise."""
        path = ConnectionPool.from_url(self.redis_url).connection_kwargs.get("path")
        return Path(path) if path and not self.has_own_redis else None

    @property
    def redis_socket(self) -> Path:
        """Where the private Redis listens, which runs unless the settings name another one."""
        return self.run_dir / "redis" / "redis.sock"

    @property
    def web_socket(self) -> Path:
        """Where the pages are served to the gateway."""
        return self.run_dir / "web" / "web.sock"

    @property
    def links_dir(self) -> Path:
        """The folder of the links' sockets, which are the nodes' for whoever may open them."""
        return self.run_dir / "links"

    @property
    def displays_socket(self) -> Path:
        """Where the links process is asked for displays."""
        return self.run_dir / "displays" / "displays.sock"

    @property
    def helper_dir(self) -> Path:
        """The folder of the sockets of the helper, which is root where this very host is a node."""
        return self.run_dir / "helper"

    @property
    def ssh_key(self) -> Path:
        """The product's own private key, made at setup."""
        return self.data / "ssh" / "id_ed25519"

    @property
    def public_key(self) -> Path:
        """Its public part, beside which pages need nothing of it."""
        return self.data / "public" / "id_ed25519.pub"

    def make_folders(self) -> None:
        """Make the data and run folders, for their owner alone.

        Raises CannotRun where they cannot be made, or belong to somebody else.
        """
        with self._data_folder():
            sockets = (self.redis_socket, self.web_socket, self.displays_socket)
            private = (self.links_dir, self.ssh_key.parent, self.public_key.parent)
            for folder in (self.data, self.run_dir, *(socket.parent for socket in sockets), *private):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            others = [folder for folder in (self.data, self.run_dir) if folder.stat().st_uid != os.getuid()]
        if others:
            raise CannotRun(f"{others[0]} belongs to another user. {WHAT_TO_DO}")

    def secret_key(self) -> str:
        """The key that signs sessions: made at the first use, kept in the data folder (0600). Raises CannotRun."""
        path = self.data / "secret_key"
        with self._data_folder():
            if not path.exists():
                _make_whole(path, secrets.token_urlsafe(48))
            return path.read_text()

    def tls_context(self) -> ssl.SSLContext | None:
        """What HTTPS is served with; None without a certificate. Raises CannotRun for one that cannot be used."""
        if self.tls_cert is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.tls_cert, self.tls_key)
        except OSError as error:
            files = " and ".join(str(path) for path in (self.tls_cert, self.tls_key) if path)
            raise CannotRun(
                f"The certificate and key in {files} cannot be used: {error.strerror or error}. "
                "See RAVADA_TLS_CERT and RAVADA_TLS_KEY."
            ) from error
        return context

    @contextmanager
    def _data_folder(self) -> Iterator[None]:
        """Say what to do where the data folder cannot be used."""
        try:
            yield
        except OSError as error:
            said = f"The data folder cannot be used: {error.strerror}: {error.filename}."
            raise CannotRun(f"{said} {WHAT_TO_DO}") from error


def _is_private(redis: ConnectionPool) -> bool:
    """Whether what is said to this Redis stays on this host, or is encrypted and said by a user with a password."""
    kind, said = redis.connection_class, redis.connection_kwargs
    if issubclass(kind, UnixDomainSocketConnection) or _is_loopback(said.get("host", "localhost")):
        return True
    verified = said.get("ssl_cert_reqs", "required") == "required" and said.get("ssl_check_hostname", True)
    return issubclass(kind, SSLConnection) and verified and bool(said.get("username") and said.get("password"))


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _make_whole(path: Path, text: str) -> None:
    """Make a file (0600) that is there with all of its text or not at all; another process's stays. Raises OSError."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-") as new:
        new.write(text)
        new.flush()
        with suppress(FileExistsError):
            os.link(new.name, path)


def read_settings() -> Settings:
    """Returns the environment's settings. Raises CannotRun with the first one that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name, why = "_".join(str(part) for part in first["loc"][:1]), first["msg"].removeprefix("Value error, ")
        raise CannotRun(f"The setting RAVADA_{name.upper()} is wrong: {why}.") from error
    except SettingsError as error:
        # It names the field in quotes, and says nothing else that helps.
        name = str(error).partition('"')[2].partition('"')[0]
        raise CannotRun(f"The setting RAVADA_{name.upper()} is wrong: it is not JSON.") from error


def settings() -> Settings:
    """Returns the settings of the present application."""
    present: Settings = current_app.extensions["settings"]
    return present
