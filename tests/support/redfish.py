"""A small Redfish service, as a server's management controller has one: HTTPS, one machine, on or off."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.certificates import make_certificate

SYSTEM = "/redfish/v1/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
PAGES = {
    "/redfish/v1": {"Systems": {"@odata.id": "/redfish/v1/Systems"}},
    "/redfish/v1/Systems": {"Members": [{"@odata.id": SYSTEM}]},
}


@dataclass
class Machine:
    """`obeys` is False for one that takes the command and stays as it is; while `silent` is set nothing answers."""

    port: int
    power: str = "On"
    obeys: bool = True
    user: str = "root"
    password: str = "calvin & hobbes"
    silent: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    @property
    def options(self) -> dict[str, str]:
        """fence_redfish's options for it."""
        entered = {"ip": "127.0.0.1", "ipport": str(self.port), "username": self.user, "password": self.password}
        return entered | {"ssl_insecure": "1"}


@contextmanager
def redfish(folder: Path) -> Iterator[Machine]:
    """The service, on a port of its own."""
    machine, over = Machine(0), threading.Event()

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = {"PowerState": machine.power, "Actions": {"#ComputerSystem.Reset": {"target": RESET}}}
            self._answer(PAGES.get(self.path.rstrip("/"), said))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            machine.asked.append(body["ResetType"])
            if self._is_let_in() and machine.obeys and body["ResetType"] == "ForceOff":
                machine.power = "Off"
            self._answer({})

        def _is_let_in(self) -> bool:
            expected = base64.b64encode(f"{machine.user}:{machine.password}".encode()).decode()
            return self.headers.get("Authorization") == f"Basic {expected}"

        def _answer(self, said: object) -> None:
            if machine.silent.is_set():
                over.wait()
                return
            allowed = self._is_let_in()
            body = json.dumps(said if allowed else {"error": {"message": "no"}}).encode()
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    certificate, key = make_certificate(folder, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_whose: object) -> None:
            """A client that was ended."""

    with Server(("127.0.0.1", 0), Service) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        machine.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield machine
        finally:
            over.set()
            server.shutdown()
            thread.join()
