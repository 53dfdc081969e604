"""`make audit`: which of the pinned packages have known vulnerabilities, asked of PyPI by pip-audit, else of OSV.

No answer is no good news: pip-audit itself says "No known vulnerabilities found" where an index knows nothing of any
package. Here what was not checked is named, and has a status of its own.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.supply import pins

CLEAN, VULNERABLE, NOT_CHECKED = 0, 1, 3
SERVICES = (("--vulnerability-service", "pypi"), ("--vulnerability-service", "osv"))
FILES = (*pins.PRODUCT, pins.TESTS)
SECONDS = 300


@dataclass
class Outcome:
    """What is known of each package that was checked, and which were not."""

    vulnerabilities: dict[str, list[str]] = field(default_factory=dict)
    unchecked: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """What the command ends with."""
        if any(self.vulnerabilities.values()):
            return VULNERABLE
        return NOT_CHECKED if self.unchecked else CLEAN

    def lines(self) -> list[str]:
        """What it says."""
        said = [f"{name}: {which}" for name, found in self.vulnerabilities.items() for which in found]
        if not self.vulnerabilities:
            said.append("Nothing was checked: no advisory service answered.")
        elif self.unchecked:
            said.append(f"Not checked: {', '.join(self.unchecked)}.")
        checked = len(self.vulnerabilities)
        return [*said, f"{checked} of {checked + len(self.unchecked)} packages checked."]


def audit(services: Sequence[Sequence[str]] = SERVICES, files: Sequence[Path] = FILES) -> Outcome:
    """Ask the services, one after another, until all packages are checked; each is pip-audit's options."""
    wanted, known = pins.installed(files), dict[str, list[str]]()
    for service in services:
        if not known.keys() >= wanted.keys():
            known |= judged(_ask(service, files))
    checked = {f"{name} {version}": known[name] for name, version in wanted.items() if name in known}
    return Outcome(checked, [f"{name} {version}" for name, version in wanted.items() if name not in known])


def judged(said: dict[str, Any]) -> dict[str, list[str]]:
    """The vulnerabilities of each package that pip-audit says it has checked; what it skipped is missing."""
    packages = [each for each in said["dependencies"] if "vulns" in each]
    return {pins.canonicalize_name(each["name"]): [_words(found) for found in each["vulns"]] for each in packages}


def _ask(service: Sequence[str], files: Sequence[Path]) -> dict[str, Any]:
    """What pip-audit says about all pinned packages; about none where the service did not answer."""
    named = [option for path in files for option in ("--requirement", path)]
    options = ["--disable-pip", "--require-hashes", "--format", "json", "--desc", "off", "--progress-spinner", "off"]
    # What a service said yesterday is not what is known today.
    with tempfile.TemporaryDirectory() as nothing_kept:
        command = [sys.executable, "-m", "pip_audit", *named, *options, "--cache-dir", nothing_kept, *service]
        try:
            said: dict[str, Any] = json.loads(
                subprocess.run(command, capture_output=True, timeout=SECONDS, check=False).stdout
            )
        except (subprocess.TimeoutExpired, ValueError):
            return {"dependencies": []}
    return said


def _words(found: dict[str, Any]) -> str:
    fixed = f", fixed in {', '.join(found['fix_versions'])}" if found["fix_versions"] else ""
    return f"{found['id']}{fixed}"


def main() -> int:
    """Say what was found: status 0 for nothing, 1 for something, 3 where not all could be checked."""
    outcome = audit()
    print("\n".join(outcome.lines()))
    return outcome.status


if __name__ == "__main__":
    sys.exit(main())
