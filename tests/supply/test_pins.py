"""What is installed is pinned with hashes, down to the last package."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs import markdown
from tests.supply import pins

FILES = (*pins.PRODUCT, pins.TESTS)
PROJECT = tomllib.loads((pins.ROOT / "pyproject.toml").read_text())
ASKED = {
    pins.PRODUCT[0]: PROJECT["project"]["dependencies"],
    pins.PRODUCT[1]: PROJECT["dependency-groups"]["build"],
    pins.TESTS: PROJECT["dependency-groups"]["tests"],
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(pins.ROOT)))
def test_each_package_is_one_version_with_hashes(path: Path) -> None:
    found = pins.read(path)
    assert found
    for pin in found:
        assert pin.version
        assert pin.hashes and all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in pin.hashes)


def test_a_package_without_a_pin_is_none(tmp_path: Path) -> None:
    for line in ("flask", "flask>=3", "flask==3.*", "flask>=3,<4"):
        (tmp_path / "r.txt").write_text(line)
        (pin,) = pins.read(tmp_path / "r.txt")
        with pytest.raises(ValueError, match=r"pinned|unpack"):
            assert pin.version


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(pins.ROOT)))
def test_what_is_asked_for_is_pinned_with_all_that_it_needs(path: Path) -> None:
    pinned = pins.installed([path])
    left, seen = [Requirement(line) for line in ASKED[path]], set[str]()
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        assert pinned[name] in wanted.specifier
        if (key := f"{name}[{sorted(wanted.extras)}]") in seen:
            continue
        seen.add(key)
        try:
            needs = [Requirement(line) for line in requires(wanted.name) or []]
        except PackageNotFoundError:
            pytest.fail(f"{wanted.name} is not installed: make {path.relative_to(pins.ROOT)}")
        for need in needs:
            extras = wanted.extras or {""}
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
                left.append(need)
    assert {key.partition("[")[0] for key in seen} == pinned.keys(), "what nothing needs is not installed"


def test_what_both_need_is_the_same_in_both() -> None:
    product, tests = pins.installed(pins.PRODUCT[:1]), pins.installed([pins.TESTS])
    assert {name: tests[name] for name in product.keys() & tests} == {
        name: product[name] for name in product.keys() & tests
    }


def test_the_product_is_installed_without_what_tests_need() -> None:
    assert not pins.installed(pins.PRODUCT).keys() & {"pytest", "playwright", "mypy", "ruff", "uv", "pip-audit"}


def test_pip_is_told_to_check_hashes_and_to_build_one_package_alone() -> None:
    makefile = (markdown.ROOT / "Makefile").read_text()
    (options,) = re.findall(r"^PIP := .*?install (.*)$", makefile, re.MULTILINE)
    assert {"--require-hashes", "--only-binary=:all:", "--no-build-isolation"} <= set(options.split())
    assert re.findall(r"--no-binary=?\s*(\S+)", makefile) == ["libvirt-python"]
    assert not re.findall(r"^.*pip install .*$", makefile.replace("PIP := $(BIN)/pip install", ""), re.MULTILINE)
