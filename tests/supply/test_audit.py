"""`make audit`: what was not checked is never said to be well."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.supply import audit, pins
from tests.support.cluster import free_port

FLASK = f"flask {pins.installed(pins.PRODUCT)['flask']}"
Answer = Callable[[str], tuple[int, object]]


@contextmanager
def advisories(answer: Answer) -> Iterator[list[str]]:
    """A service that speaks OSV's protocol; yields pip-audit's options for it. `answer` is given a package's name."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, said = answer(asked["package"]["name"])
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/v1/query"
            yield ["--vulnerability-service", "osv", "--osv-url", url]
        finally:
            server.shutdown()
            thread.join()


def test_where_no_service_can_be_reached_it_says_that_nothing_was_checked() -> None:
    nobody = ["--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{free_port()}/"]
    outcome = audit.audit([nobody], pins.PRODUCT[1:])
    assert outcome.status == audit.NOT_CHECKED
    assert outcome.lines()[0].startswith("Nothing was checked") and outcome.lines()[1] == "0 of 1 packages checked."


def test_a_service_that_fails_half_way_has_checked_nothing() -> None:
    with advisories(lambda name: (503, {}) if name == "flask" else (200, {})) as service:
        outcome = audit.audit([service], pins.PRODUCT[:1])
    assert outcome.status == audit.NOT_CHECKED and not outcome.vulnerabilities


def test_a_package_that_was_skipped_is_not_checked() -> None:
    """As a mirror of PyPI without its advisories skips all, and pip-audit says that no vulnerabilities are known."""
    skipped = {"name": "flask", "skip_reason": "Dependency not found on PyPI and could not be audited"}
    assert audit.judged({"dependencies": [skipped, {"name": "Jinja2", "version": "3", "vulns": []}]}) == {"jinja2": []}
    assert audit.Outcome({"jinja2 3": []}).status == audit.CLEAN
    assert audit.Outcome({"jinja2 3": []}, ["flask 3.1.3"]).status == audit.NOT_CHECKED
    assert audit.Outcome({"jinja2 3": ["PYSEC-1"]}, ["flask 3.1.3"]).status == audit.VULNERABLE


def test_where_the_first_service_is_silent_the_next_is_asked_for_every_package_and_what_it_knows_is_said() -> None:
    asked = list[str]()
    known = {"vulns": [{"id": "PYSEC-1", "summary": "bad", "affected": []}]}

    def answer(name: str) -> tuple[int, object]:
        asked.append(name)
        return 200, known if name == "flask" else {}

    nobody = ["--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{free_port()}/"]
    with advisories(answer) as service:
        outcome = audit.audit([nobody, service])
    assert set(asked) == pins.installed(audit.FILES).keys()
    assert outcome.status == audit.VULNERABLE and not outcome.unchecked
    assert outcome.lines()[0] == f"{FLASK}: PYSEC-1"
