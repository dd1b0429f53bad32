# Every command of the project; `make` alone lists them. Needs only python3 (3.11 to 3.13) with venv, sh and make.
# Settings reach muster through the environment: MUSTER_PORT=9000 make demo, or make demo MUSTER_PORT=9000.

BIN = .venv/bin
PYTEST_ARGS ?=
# Without bytecode every one of the many processes that the tests start would compile what it imports anew.
PYTEST = env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest

# Set-up is requirements/install.py: it needs a Python that fits, and does nothing when nothing has changed.
SETUP = found=; for python in python3 python3.13 python3.12 python3.11; do \
	if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
		found=$$python; break; fi; done; \
	if [ -z "$$found" ]; then echo "Muster needs Python 3.11, 3.12 or 3.13, and python3 is none of them; install one, \
	then run make again." >&2; exit 1; fi; \
	"$$found" -I requirements/install.py

.PHONY: help install demo up test test-outside fuzz faults soak schema lint types bench screenshots lock clean

help: ## List what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

install: ## Set everything up in .venv, from the lock
	@$(SETUP)

demo: ## Set up, then show Muster at work on 600 sample people; Ctrl-C ends it
	@$(SETUP)
	@exec $(BIN)/muster demo

up: ## Set up, then run Muster here: web and worker, with its own database
	@$(SETUP)
	@exec $(BIN)/muster up

test: ## Set up, then run every test; PYTEST_ARGS="tests/kernel -x" narrows it
	@$(SETUP) dev chromium
	@$(PYTEST) -n 4 --dist worksteal $(PYTEST_ARGS)

fuzz: ## Try made-up input for some minutes, new every time; FUZZ_EXAMPLES=2000 makes that many for each test
	@$(SETUP) dev
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-300} $(PYTEST) -n 3 --dist worksteal -m "fuzz or hypothesis" $(PYTEST_ARGS)

faults: ## Break workers, carrier, database and disk at every point (docs/guarantees.md), for some ten minutes
	@$(SETUP) dev
	@$(PYTEST) -n 2 --dist loadfile -rP -m "faults or not faults" tests/faults $(PYTEST_ARGS)

soak: ## Break everything at random; MINUTES=20 SEED=1 say for how long, and which schedule of it
	@$(SETUP) dev
	@$(BIN)/python -m tests.soak --minutes $${MINUTES:-5} --seed $${SEED:-1}

test-outside: ## Try mail answers and bounces against Debian's Dovecot, where that is installed
	@$(SETUP) dev
	@$(BIN)/python -m tests.mailbox.outside $(PYTEST_ARGS)

schema: ## Write docs/playbook.schema.json anew, after a change to what a playbook may hold
	@$(SETUP) dev
	@$(BIN)/python -m app.playbooks.json_schema > docs/playbook.schema.json

lint: ## Check style, the order of imports and the declared dependencies
	@$(SETUP) dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/deptry .

types: ## Check the types
	@$(SETUP) dev
	@$(BIN)/mypy

bench: ## Measure the hot paths: every file in bench/
	@$(SETUP) dev
	@for file in bench/[a-z]*.py; do echo "$$file"; $(BIN)/python "$$file" || exit 1; done

screenshots: ## Take the pictures in the documentation again
	@$(SETUP) dev chromium
	@$(BIN)/python docs/screenshots.py

LOCK = $(BIN)/uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

lock: ## Write the locks anew from pyproject.toml; UPGRADE=--upgrade takes the newest of everything
	@$(SETUP)
	@test -x $(BIN)/uv || { echo "make lock needs uv, which has no build for this system." >&2; exit 1; }
	$(LOCK) $(UPGRADE) pyproject.toml --group build -o requirements/runtime.lock
	$(LOCK) $(UPGRADE) pyproject.toml --group build --group dev -c requirements/runtime.lock -o requirements/dev.lock
	printf 'pip\nuv\n' | $(LOCK) $(UPGRADE) - -o requirements/installers.lock

clean: ## Remove .venv and every cache; data in .muster stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find app tests bench docs alembic -name __pycache__ -type d -prune -exec rm -rf {} +
