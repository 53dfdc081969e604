"""`make sbom`: all that the product consists of, as CycloneDX JSON on standard output.

Packages as they are installed, with what each of them needs, and the files under static/vendor with their hashes. What
only tests need is not part of the product, nor of this.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.supply import pins

VENDOR = pins.ROOT / "static" / "vendor"
SPEC = SchemaVersion.V1_6
# By the folder's name: what npm calls it, and its license.
VENDORED = {
    "htmx.org": ("htmx.org", "0BSD"),
    "novnc": ("@novnc/novnc", "MPL-2.0"),
    "tabler-core": ("@tabler/core", "MIT"),
    "tabler-icons": ("@tabler/icons", "MIT"),
    "uplot": ("uplot", "MIT"),
}

Document = dict[str, Any]


def document() -> Document:
    """The list. Raises KeyError for a vendored folder that nobody has described above."""
    said = _environment()
    wanted = pins.installed(pins.PRODUCT)
    packages = [each for each in said["components"] if pins.canonicalize_name(each["name"]) in wanted]
    vendored = [vendored_part(folder) for folder in sorted(VENDOR.iterdir())]
    known = {said["metadata"]["component"]["bom-ref"], *(each["bom-ref"] for each in packages)}
    needs = [_within(each, known) for each in said["dependencies"] if each["ref"] in known]
    needs += [{"ref": each["bom-ref"]} for each in vendored]
    return said | {"components": packages + vendored, "dependencies": needs}


def faults(listed: Document) -> str:
    """What CycloneDX's schema has against it; "" for nothing."""
    error = JsonStrictValidator(SPEC).validate_str(json.dumps(listed))
    return "" if error is None else str(error)


def _environment() -> Document:
    """What is installed in the environment that runs this."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", pins.ROOT / "pyproject.toml"]
    command += ["--mc-type", "application", "--output-format", "JSON", "--spec-version", SPEC.to_version()]
    # All is validated once, with what comes to it.
    command += ["--output-reproducible", "--no-validate", sys.executable]
    said: Document = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return said


def vendored_part(folder: Path) -> Document:
    """A folder `<name>@<version>` and its files. Raises KeyError where its license is not known."""
    name, _, version = folder.name.partition("@")
    package, license_id = VENDORED[name]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    address = f"pkg:npm/{package.replace('@', '%40')}@{version}"
    return {
        "type": "library",
        "bom-ref": address,
        "name": package,
        "version": version,
        "purl": address,
        "licenses": [{"license": {"id": license_id}}],
        "components": [_file(path) for path in files],
    }


def _file(path: Path) -> Document:
    place = str(path.relative_to(pins.ROOT))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"type": "file", "bom-ref": place, "name": place, "hashes": [{"alg": "SHA-256", "content": digest}]}


def _within(needs: Document, known: set[str]) -> Document:
    return needs | {"dependsOn": [ref for ref in needs.get("dependsOn", []) if ref in known]}


def main() -> int:
    """Print it; 1 where it is not valid."""
    listed = document()
    if why := faults(listed):
        print(why, file=sys.stderr)
        return 1
    print(json.dumps(listed, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
