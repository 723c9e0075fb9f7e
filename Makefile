# The two commands: `make up` tries Interlock out, `make test` tests it. Both need Python 3.11+, make and a package index:
# no root, no Docker, no Redis, no nginx. They make their own environment in .venv and touch nothing else.
#
# Two lists of pins, made from pyproject.toml by `make lock`: constraints.txt for developers, and constraints-demo.txt,
# the part of it that a user needs, so that trying Interlock out does not download a type checker. pip is given whole lists
# (--no-deps: nothing is resolved, nothing unlisted comes in) because it verifies hashes only of what a list names;
# so "the names from pyproject, the hashes from a constraints file" would leave what they depend on unverified.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help up test check static architecture format lint types contracts fix swarm load chaos soak bench mutants lock wheelhouse docs clean
MAKEFLAGS += --no-print-directory

VENV := .venv
PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest
# PIP_USER: a user's own pip configuration may say --user, which a virtual environment refuses.
PIP := PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip --quiet

# Where it is set, the tests' hundreds of programs compile what they import at every start, and each of pytest's workers
# every test. (`make clean` removes what is written.)
unexport PYTHONDONTWRITEBYTECODE

# Suites that do not belong in `make test`: they take their time. Each has a target of its own; .ci/run leaves none out.
LATER := swarm or load or chaos or soak or bench

help: ## Show this.
	@echo "make TARGET"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-15s %s\n", $$1, $$2 }'

# exec: no shell stays between make and the demo. $$PPID is make: when make is killed hard, the demo sees it and stops.
up: $(VENV)/.demo ## Try it: a simulated swarm, the bus, nginx and every service; ARGS="..." go to `interlock demo up`.
	@INTERLOCK_STOP_WITH_PARENT=$$PPID exec $(VENV)/bin/interlock demo up $(ARGS)

# Six at a time, a file each: most tests wait for processes, not for the processor.
# tests/support/schedule.py says whose turn it is.
test: $(VENV)/.dev ## Run the tests that need nothing but this machine (under 5 minutes); says what it left out, and why.
	@$(PYTEST) -n 6 --dist loadfile -m "not ($(LATER))" $(ARGS)

check: static architecture ## Formatting, lint, strict types, import contracts, architecture.

# What `make test` does not run already; .ci/run calls it, so that no suite runs twice.
static: format lint types contracts

format: $(VENV)/.dev ## Is everything formatted? (`make fix` formats it.)
	@$(VENV)/bin/ruff format --check .

lint: $(VENV)/.dev ## ruff.
	@$(VENV)/bin/ruff check .

types: $(VENV)/.dev ## mypy --strict.
	@$(PY) -m mypy
	@MYPYPATH=docs/examples/f5 $(PY) -m mypy -p interlock_f5

contracts: $(VENV)/.dev ## Who may import whom: .importlinter.
	@$(VENV)/bin/lint-imports

architecture: $(VENV)/.dev ## The rules of the house that no tool knows.
	@$(PYTEST) -q tests/architecture

fix: $(VENV)/.dev ## Format, sort imports, and fix what ruff can.
	@$(VENV)/bin/ruff check --fix-only .
	@$(VENV)/bin/ruff format .

# Three at a time, a file each: a Swarm mostly waits for its own timers.
swarm: $(VENV)/.dev ## On real Docker engines, in network namespaces; needs root and Docker's programs.
	@$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder -m "swarm and not (soak or bench)" $(ARGS)

# One at a time: they say what rate was held.
load: $(VENV)/.dev ## Steady load while things change.
	@$(PYTEST) -m "load and not (soak or bench)" $(ARGS)

chaos: $(VENV)/.dev ## Load while parts are killed, and Docker or the bus fail.
	@$(PYTEST) -n 2 --dist loadfile -m "chaos and not (soak or bench)" $(ARGS)

soak: $(VENV)/.dev ## Hours of churn under load.
	@$(PYTEST) -m soak -s $(ARGS)

bench: $(VENV)/.dev ## The measurements of docs/benchmarks.md.
	@$(PYTEST) -m bench -s $(ARGS)

mutants: $(VENV)/.dev ## Which changes to the pure core no test notices (docs/mutants.md); ARGS=labels, stages, nginx or plan.
	@.ci/mutants $(ARGS)

# The index is the default one and its name is left out, so that everyone may use their own.
LOCK = printf 'hatchling\neditables\npip\n' | UV_NO_CONFIG=1 $(PY) -m uv pip compile pyproject.toml - --quiet --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
lock: $(VENV)/.dev ## Renew the pins from pyproject.toml; ARGS=--upgrade takes the newest.
	@$(PIP) install uv
	@$(LOCK) --extra dev -o constraints.txt $(ARGS)
	@$(LOCK) --extra demo --extra proxy -c constraints.txt -o constraints-demo.txt --upgrade

# For images without a network: what constraints-demo.txt pins, each checked against its hash. WHEELS_FOR: the Python of
# the image (3.13), where it is not this one's.
wheelhouse: $(VENV)/.demo ## The packages that deploy/Dockerfile needs, into ./wheelhouse.
	@mkdir -p wheelhouse
	@# Also what only older Pythons need: the image may have one.
	@sed 's/ ; python.*/ \\/' constraints-demo.txt >wheelhouse/pins.txt
	@$(PIP) download --no-deps --require-hashes --requirement wheelhouse/pins.txt --dest wheelhouse \
		$(if $(WHEELS_FOR),--python-version $(WHEELS_FOR) --only-binary=:all:)

docs: $(VENV)/.dev ## Write the pages of docs/ that are made from the code.
	@$(PY) -m interlock.labels.documentation >docs/labels.md
	@$(PY) -m interlock.review.cli keys --markdown >docs/config.md

clean: ## Remove the environment and every cache.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .mutants .run build dist wheelhouse
	find services shared tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment ---

# A virtual environment holds absolute paths. One made elsewhere (the checkout was moved or copied), or by a Python that
# is gone, is made anew; one that somebody made here by other means is kept and completed.
PLACE := $(VENV)/.place
ifneq ($(shell [ "$$(cat $(PLACE) 2>/dev/null)" = "$$PWD" ] && $(PY) -c '' 2>/dev/null && echo same),same)
.PHONY: $(PLACE)
endif

define NO_PYTHON
Interlock needs Python 3.11 or newer, and found none.
Install one, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3
endef
define NO_VENV
This Python cannot make virtual environments (its parts venv and ensurepip are missing).
Debian and Ubuntu: apt-get install python3-venv     or name another Python: make $(MAKECMDGOALS) PYTHON=/path/to/python3
endef
export NO_PYTHON NO_VENV

PYTHON ?=
$(PLACE):
	@for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11) none; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	done; \
	if [ "$$python" = none ]; then echo "$$NO_PYTHON" >&2; exit 1; fi; \
	if [ ! -e $@ ] && $(PY) -m pip --version >/dev/null 2>&1; then \
		echo "Using the environment in $(VENV)."; \
	else \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || { echo "$$NO_VENV" >&2; exit 1; }; \
		echo "Making $(VENV) (once)."; \
		"$$python" -m venv --clear $(VENV); \
	fi && pwd > $@

# One install at a time: $(1) is the list, hatchling and editables are in it, so building needs no further download.
INSTALL = $(PIP) install --require-hashes --no-deps --requirement $(1) && \
	$(PIP) install --no-deps --no-build-isolation --editable . && \
	$(PIP) check && touch $@

$(VENV)/.demo: $(PLACE) pyproject.toml constraints-demo.txt
	@echo "Installing what the demo needs into $(VENV) (once, 24 MB)."
	@$(call INSTALL,constraints-demo.txt)

# Whoever has the developers' list has the users' as well.
$(VENV)/.dev: $(PLACE) pyproject.toml constraints.txt
	@echo "Installing what the tests need into $(VENV) (once, 110 MB)."
	@$(call INSTALL,constraints.txt) && touch $(VENV)/.demo
