# Every target works by itself on a fresh clone; `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run demo demo-up demo-down test test-fast test-others test-labs clock-others clock-labs soak soak-moves fuzz lint format bench-clones bench-console bench-launch bench-checks bench-pages bench-rest bench-door bench-failover bench-moves bench-drain pictures packages-run packages-fast packages-lab packages-test requirements sbom audit clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
export RAVADA_DATA ?= var
# sudo drops the environment: what is set for the product is handed over, by name alone. Command lines are everybody's
# to read, and passwords are among the values.
COMMA := ,
BLANK := $(COMMA:,= )
SETTINGS := $(subst $(BLANK),$(COMMA),$(strip $(filter RAVADA_%,$(.VARIABLES))))

RUN_PACKAGES := libvirt-daemon-system libvirt-clients dnsmasq-base dmidecode qemu-system-x86 qemu-utils ovmf \
	redis-server openssh-client openssl util-linux \
	python3-venv python3-dev libvirt-dev pkg-config gcc
FAST_PACKAGES := fence-agents ipmitool openipmi openssh-server postgresql libfaketime nginx-light nftables busybox-static tcsh fish zsh ksh
LAB_PACKAGES := openssh-server iproute2 mtools dosfstools syslinux syslinux-common busybox-static cpio xz-utils kmod \
	linux-image-cloud-amd64 procps sudo nftables acl swtpm swtpm-tools systemd-container dbus mmdebstrap git curl
TEST_PACKAGES := chromium fonts-dejavu-core

FUZZ := tests/remote/test_fuzz.py tests/hypervisor/test_fuzz.py tests/gateway/test_fuzz.py
NO_LAB := --ignore=tests/cluster --ignore=tests/browser
PYTEST = $(BIN)/python -m pytest -o cache_dir=.pytest_cache/$@
# Two labs, each in a network of its own.
ON_LABS = RAVADA_CHECK_INTERVAL=2 $(PYTEST) -m "not clock and not soak" --numprocesses 2 --no-loadscope-reorder
# What fails is tried once more by itself, in new processes and on new labs: a machine may stand still for a minute.
# The output has both runs; a test that needed the second has a fault to be found.
tried = $(1) || $(1) --last-failed --last-failed-no-failures none

# One file for every Python from 3.11 on.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make requirements" $(if $(UPGRADE),--upgrade)

# `make bench-… WRITE=1` also writes the figures into docs/benchmarks.md.
BENCH_FLAGS := $(if $(WRITE),--write)

# Installs those of the named Debian packages that are missing; asks for nothing where none is.
define install
	@missing=$$(dpkg-query -W -f='$${db:Status-Status} $${Package}\n' $(1) 2>/dev/null | \
		awk '$$1 == "installed" {print $$2}' | sort | comm -13 - <(printf '%s\n' $(1) | sort)); \
	if [ -n "$$missing" ]; then echo "Installing Debian packages:" $$missing >&2; \
		$(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
endef

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

packages-run:
	$(call install,$(RUN_PACKAGES))

packages-lab: packages-run
	$(call install,$(LAB_PACKAGES))

packages-fast: packages-run
	$(call install,$(FAST_PACKAGES))

packages-test: packages-lab packages-fast
	$(call install,$(TEST_PACKAGES))

# Nothing is installed that is not pinned by hash, and nothing is built but libvirt-python, with what is pinned for that.
PIP := $(BIN)/pip --disable-pip-version-check install --quiet --root-user-action=ignore --require-hashes --only-binary=:all: --no-build-isolation

$(VENV)/installed: requirements.txt deploy/build-requirements.txt | packages-run
	@echo "Making the virtual environment $(VENV) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -r deploy/build-requirements.txt
	@$(PIP) --no-binary=libvirt-python -r requirements.txt
	@touch $@

# What tests and gates need as well.
$(VENV)/tested: tests/requirements.txt $(VENV)/installed
	@$(PIP) --no-compile -r tests/requirements.txt
	@touch $@

run: packages-run $(VENV)/installed ## run the product on this host, its own libvirt as the master node
	@exec $(if $(SUDO),$(SUDO) --preserve-env=$(SETTINGS)) $(BIN)/flask up

demo: packages-lab $(VENV)/installed ## a lab of three real nodes with the product on it, until Ctrl-C
	@exec $(SUDO) $(BIN)/python -m tests.lab.demo stay

demo-up: packages-lab $(VENV)/installed ## the same, returning when it is up
	@$(SUDO) $(BIN)/python -m tests.lab.demo up

demo-down: ## take the demo and its lab away
	@if [ -x $(BIN)/python ]; then $(SUDO) $(BIN)/python -m tests.lab.demo down; fi

lint: $(VENV)/tested ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/tested ## put the code into ruff's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test-fast: packages-fast $(VENV)/tested ## the tests that need no root, lab or browser, two a processor: half of their time is waiting
	-@$(BIN)/python -m tests.support.walled_host
	$(BIN)/python -m pytest $(NO_LAB) -m "not clock" --numprocesses $$((2 * $$(nproc)))
	$(BIN)/python -m pytest $(NO_LAB) -m clock

fuzz: packages-fast $(VENV)/tested ## a million random answers of nodes, other ones each time, on all processors
	RAVADA_FUZZ=1000000 $(BIN)/python -m pytest $(FUZZ) --numprocesses auto --timeout 7200

translations: $(VENV)/tested ## gather the texts for the catalogues; says how much of each language is there
	@$(BIN)/python -m ravada_web.translations

test: packages-test $(VENV)/tested ## all tests: the fast ones, then the browser, beside the cluster on two labs; then what promises a time
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-others test-labs
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target clock-others clock-labs

# The labs go first: on them live machines, whose time does not stand still.
test-others:
	$(BIN)/python -m tests.support.walled_host
	$(call tried,nice $(PYTEST) $(NO_LAB) -m "not clock" --numprocesses auto)
	$(call tried,$(ON_LABS) tests/browser)

test-labs:
	$(BIN)/python -m tests.lab.trees
	$(BIN)/python -m tests.lab.wheels
	$(call tried,$(ON_LABS) tests/cluster)

soak: packages-test $(VENV)/tested ## deaths of nodes, and of all parties of live moves, while what handles them is killed; on a lab
	RAVADA_CHECK_INTERVAL=2 $(BIN)/python -m pytest tests/cluster tests/browser -m soak

soak-moves: packages-test $(VENV)/tested ## 200 moves, and whoever dies in them: MOVES=50 SEED=7 for as many, and the same kills again
	RAVADA_CHECK_INTERVAL=2 MOVES=$(MOVES) SEED=$(SEED) $(BIN)/python -m pytest -s tests/cluster/test_moves_soak.py tests/cluster/test_crowd.py -m soak

clock-others:
	$(call tried,$(PYTEST) $(NO_LAB) -m clock)

clock-labs:
	$(call tried,$(PYTEST) tests/cluster tests/browser -m clock)

bench-clones: packages-lab $(VENV)/tested ## 300 clones over three nodes beside plain libvirt; JSON on standard output
	@$(SUDO) $(BIN)/python -m tests.benchmarks.clones $(BENCH_FLAGS)

bench-console: packages-lab $(VENV)/tested ## 200 consoles at once to 20 displays, beside direct VNC; JSON
	@$(SUDO) $(BIN)/python -m tests.benchmarks.console $(BENCH_FLAGS)

bench-launch: packages-test $(VENV)/tested ## from the click to the first picture, beside a bare start; JSON
	@$(SUDO) $(BIN)/python -m tests.benchmarks.launch $(BENCH_FLAGS)

bench-checks: packages-lab $(VENV)/tested ## rounds of node checks, 10 to 1,000 nodes, a third of them dark; JSON
	@$(SUDO) $(BIN)/python -m tests.benchmarks.checks $(BENCH_FLAGS)

bench-pages: packages-test $(VENV)/tested ## pages at 200 nodes and 20,000 clones, on SQLite and PostgreSQL; JSON
	@$(SUDO) $(BIN)/python -m tests.benchmarks.pages $(BENCH_FLAGS)

bench-rest: packages-test $(VENV)/tested ## memory, processes and CPU while nobody asks anything, and the first page; JSON
	@$(SUDO) $(BIN)/python -m tests.benchmarks.rest $(BENCH_FLAGS)

bench-door: packages-test $(VENV)/tested ## a page and consoles while 5,000 slow connections come; JSON
	@$(SUDO) $(BIN)/python -m tests.benchmarks.door $(BENCH_FLAGS)

bench-failover: packages-lab $(VENV)/tested ## nodes die under 60 desktops: until down, until all run elsewhere; JSON
	@$(SUDO) $(BIN)/python -m tests.benchmarks.failover $(BENCH_FLAGS)

bench-moves: packages-test $(VENV)/tested ## one desktop moved while it runs, its console open in a browser, beside plain libvirt; JSON
	@$(SUDO) $(BIN)/python -m tests.benchmarks.moves $(BENCH_FLAGS)

bench-drain: packages-lab $(VENV)/tested ## a node with 20 running and 20 stopped desktops drained to four, beside plain libvirt; JSON
	@$(SUDO) $(BIN)/python -m tests.benchmarks.drain $(BENCH_FLAGS)

pictures: packages-test $(VENV)/tested ## take the pictures of docs/nodes.md again
	RAVADA_SHOTS=docs $(BIN)/python -m pytest -q tests/browser/test_joining_page.py -k keyboard

requirements: $(VENV)/tested ## pin what pyproject.toml asks for and all that it needs, with hashes; UPGRADE=1 takes newer versions
	@$(COMPILE) pyproject.toml --output-file requirements.txt
	@$(COMPILE) --group build --output-file deploy/build-requirements.txt
	@$(COMPILE) --group tests --constraints requirements.txt --output-file tests/requirements.txt

sbom: $(VENV)/tested ## what the product consists of, packages and vendored files; CycloneDX JSON on standard output
	@$(BIN)/python -m tests.supply.sbom

audit: $(VENV)/tested ## known vulnerabilities of the pinned packages; status 3 where they could not be checked
	@$(BIN)/python -m tests.supply.audit

clean: demo-down ## remove the virtual environment and caches; data folders stay
	@$(SUDO) find . -name __pycache__ -type d -prune -exec rm -rf {} +
	$(SUDO) rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
