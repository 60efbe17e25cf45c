# SigmaSight Admin. `make` alone explains itself.
.DEFAULT_GOAL := help
.PHONY: help run test test-all test-browser check fix openapi bench shell lock clean

# The first Python that is new enough and can make a virtual environment; failing that, one that is new enough.
# (Debian's own comes without ensurepip; pyenv's shims exist for versions that are not there.)
PYTHON ?= $(shell \
	for needs in 'import ensurepip, venv' 'pass'; do \
	  for name in python3.13 python3.12 python3.14 python3.11 python3; do \
	    if $$name -c "import sys; sys.exit(sys.version_info < (3, 11)); " >/dev/null 2>&1 \
	      && $$name -c "$$needs" >/dev/null 2>&1; then echo $$name; exit 0; fi; \
	  done; \
	done; echo none)

BIN := .venv/bin
ARGS ?=
REQUESTS ?= 1_000_000
EVENTS ?= 2_000_000

# $(call setup,run): the virtual environment with that set of packages; silent when it is there already.
define setup
@python="$(PYTHON)"; \
if [ "$$python" = none ]; then \
	echo "No Python 3.11 or newer is on the PATH: install one (apt install python3 python3-venv, brew install python), or name it, as in: make PYTHON=/path/to/python3 run" >&2; exit 1; fi; \
if ! $$python -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then \
	echo "PYTHON is $$python, which is no Python 3.11 or newer: leave it out, or name another, as in: make PYTHON=/path/to/python3 run" >&2; exit 1; fi; \
exec $$python sigmasight/local/bootstrap.py $(1)
endef

help: ## This list
	@echo "SigmaSight Admin. Usage: make TARGET [ARGS='…']"; echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[36m%-13s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo; echo "Settings come from the environment or .env: HOST, PORT, DATABASE_URL, … (.env.example lists them all)."

run: ## The whole product with its own PostgreSQL and Redis, until Ctrl-C (NO_DEMO=1: without demo data)
	$(call setup,run)
	@exec $(BIN)/python manage.py up $(ARGS)

test: ## The fast tests (ARGS="tests/local -x" to choose)
	$(call setup,test)
	@exec $(BIN)/python -m pytest -n auto $(ARGS)

test-all: ## Every test but the browser's: the fast ones and the slow ones
	$(call setup,test)
	@exec $(BIN)/python -m pytest -n auto -m "not browser" $(ARGS)

test-browser: ## The tests in a real browser (needs Chromium)
	$(call setup,browser)
	@exec $(BIN)/python -m pytest -n auto -m browser $(ARGS)

check: ## Everything CI looks at besides the tests: style, types, layers, templates, migrations, deployment
	$(call setup,test)
	@PATH="$(CURDIR)/$(BIN):$$PATH"; failed=; \
	look() { printf '%s\n' "── $$1"; shift; "$$@" || failed=yes; }; \
	look "Style (ruff check)" ruff check --quiet .; \
	look "Format (ruff format)" ruff format --quiet --check .; \
	look "Types (mypy --strict)" mypy; \
	look "Layers (import-linter)" lint-imports --no-logo; \
	look "Templates' format (djlint --check)" djlint --quiet --check templates; \
	look "Templates' mistakes (djlint --lint)" djlint --quiet --lint templates; \
	look "Migrations (none missing)" python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run; \
	look "OpenAPI (docs/openapi.json)" python -W ignore::RuntimeWarning manage.py openapi --check; \
	look "Deployment (manage.py check --deploy)" env DEBUG=false HTTPS=true python manage.py check --deploy --fail-level WARNING; \
	if [ -n "$$failed" ]; then echo "make check: something is left to mend, see above" >&2; exit 1; fi

fix: ## Format and mend what can be mended by machine
	$(call setup,test)
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet . ; $(BIN)/djlint --quiet --reformat templates || true

openapi: ## Write docs/openapi.json anew, after a change of the JSON API
	$(call setup,test)
	@exec $(BIN)/python manage.py openapi $(ARGS)

bench: ## Measure (REQUESTS=1_000_000 EVENTS=2_000_000; ARGS="--help" for the rest)
	$(call setup,test)
	@exec $(BIN)/python -m bench --requests $(REQUESTS) --events $(EVENTS) $(ARGS)

shell: ## Django's shell, on the running product's databases
	$(call setup,run)
	@exec $(BIN)/python manage.py shell $(ARGS)

lock: ## Pin and hash the requirements anew (ARGS=--upgrade for newer ones)
	$(call setup,test)
	@set -e; for set in requirements requirements-local requirements-dev requirements-browser; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(ARGS) \
	    $$set.in -o $$set.txt; \
	done

clean: ## Stop what runs here and remove it with all its data: .local and .venv
	@python="$(PYTHON)"; if [ "$$python" = none ]; then python=$(BIN)/python; fi; \
	exec $$python sigmasight/local/bootstrap.py clean
