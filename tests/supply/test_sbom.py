"""The list of what the product consists of."""

from pathlib import Path

import pytest

from tests.supply import pins, sbom


@pytest.fixture(scope="module")
def listed() -> sbom.Document:
    return sbom.document()


def test_it_names_all_packages_of_the_product_and_no_others(listed: sbom.Document) -> None:
    packages = [each for each in listed["components"] if each["purl"].startswith("pkg:pypi/")]
    found = {pins.canonicalize_name(each["name"]): each["version"] for each in packages}
    assert found == pins.installed(pins.PRODUCT)


def test_it_names_all_that_is_vendored_with_version_license_and_files(listed: sbom.Document) -> None:
    parts = {each["purl"]: each for each in listed["components"] if each["purl"].startswith("pkg:npm/")}
    assert len(parts) == len(list(sbom.VENDOR.iterdir()))
    assert parts["pkg:npm/htmx.org@4.0.1"]["licenses"] == [{"license": {"id": "0BSD"}}]
    assert all(part["version"] and part["licenses"] for part in parts.values())
    files = {each["name"] for part in parts.values() for each in part["components"]}
    assert files == {str(path.relative_to(pins.ROOT)) for path in sbom.VENDOR.rglob("*") if path.is_file()}


def test_what_needs_what_names_parts_that_are_listed(listed: sbom.Document) -> None:
    known = {each["bom-ref"] for each in listed["components"]} | {listed["metadata"]["component"]["bom-ref"]}
    needs = {each["ref"]: set(each.get("dependsOn", ())) for each in listed["dependencies"]}
    assert needs.keys() == known
    assert set.union(*needs.values()) <= known
    assert "Flask-Login==0.6.3" not in needs or any(ref.startswith("Flask==") for ref in needs["Flask-Login==0.6.3"])


def test_it_is_valid_and_what_is_not_is_refused(listed: sbom.Document) -> None:
    """A few parts of each kind: the schema's check takes a tenth of a second for each."""
    few = listed | {"components": [*listed["components"][:2], listed["components"][-1]], "dependencies": []}
    assert sbom.faults(few) == ""
    few["components"][0] = few["components"][0] | {"type": "something"}
    assert sbom.faults(few)


def test_what_is_vendored_and_not_described_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="jquery"):
        sbom.vendored_part(tmp_path / "jquery@4.0.0")
