# The two commands of a fresh machine are `make run` and `make test`.
PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BROWSER_INSTALLED := $(VENV)/.installed-browser
REDOCLY := .ci/redocly
LOCKS := requirements.txt requirements-otel.txt requirements-build.txt requirements-dev.txt \
	tests/flask_suite/requirements.txt tests/browser/requirements.txt tests/fuzz/requirements.txt bench/requirements.txt \
	bench/load_test/requirements.txt
# The last migration that was there before anybody had data in the tables.
LINTED_FROM := 0003
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--no-emit-index-url --no-header

.PHONY: help run test check coverage test-cluster test-image test-faults test-flask test-browser test-clients fuzz screenshot lint-migrations lint-openapi openapi bench bench-anatomy bench-bridge bench-endurance bench-logins bench-lists bench-one-connection bench-search bench-server bench-standby bench-start load-test lock install clean
.DEFAULT_GOAL := help

help: ## Show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-20s %s\n", $$1, $$2}'

run: $(INSTALLED) ## Install, start PostgreSQL, migrate, serve on 127.0.0.1:8000
	@APP_ENV=development exec $(BIN)/postern run

test: $(INSTALLED) ## Install and run every test on a PostgreSQL of its own
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(OPTIONS)

coverage: $(INSTALLED) ## The same, twice as long, and say what no test has run; less than 95 % is a failure
	$(MAKE) --no-print-directory test OPTIONS=--cov

test-faults: $(INSTALLED) ## Kill, freeze and reset what the service stands on, 100 times, while it is written to
	$(BIN)/python -m tests.faults $(OPTIONS)

test-cluster: $(INSTALLED) ## Try a standby, a fail-over and both kinds of PgBouncer; needs Debian, for PgBouncer
	.ci/pgbouncer $(VENV)/pgbouncer bookworm trixie
	$(BIN)/python -m pytest tests/cluster/with_*.py

test-flask: $(INSTALLED) ## Run Flask's own test suite through the bridge
	$(BIN)/python -m tests.flask_suite $(VENV)/flask-suite

test-browser: $(BROWSER_INSTALLED) ## Try /swagger in Chromium, which has to be installed
	$(BIN)/python -m pytest tests/browser/swagger_page.py

test-clients: $(INSTALLED) ## Ask the server by curl and through nginx, which have to be installed
	$(BIN)/python -m pytest tests/clients/by_*.py

test-image: $(INSTALLED) ## Make the image by the Dockerfile's steps, without an engine or root, and use it; needs Linux
	$(BIN)/python -m pytest tests/image/by_its_steps.py

screenshot: $(BROWSER_INSTALLED) ## Take docs/swagger.png anew
	SCREENSHOT=docs/swagger.png $(BIN)/python -m pytest -q tests/browser/swagger_page.py

fuzz: $(INSTALLED) ## Hold the service against its OpenAPI document: schemathesis, as nobody, user and admin
	$(BIN)/python -m tests.fuzz $(VENV)/fuzz

check: $(INSTALLED) ## Linters, types, import contract, migrations, Dockerfile, lock files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(MAKE) --no-print-directory lint-migrations
	$(MAKE) --no-print-directory lock
	git diff --exit-code --stat -- $(LOCKS)

lock: $(INSTALLED) ## Write the lock files anew; what is locked stays unless pyproject.toml says otherwise
	$(LOCK) pyproject.toml --output-file requirements.txt
	$(LOCK) pyproject.toml --extra otel --output-file requirements-otel.txt
	$(LOCK) --group pyproject.toml:build --output-file requirements-build.txt
	$(LOCK) pyproject.toml --all-extras --output-file requirements-dev.txt
	$(LOCK) tests/flask_suite/requirements.in --output-file tests/flask_suite/requirements.txt
	$(LOCK) tests/browser/requirements.in --output-file tests/browser/requirements.txt
	$(LOCK) tests/fuzz/requirements.in --output-file tests/fuzz/requirements.txt
	$(LOCK) bench/requirements.in --output-file bench/requirements.txt
	$(LOCK) bench/load_test/requirements.in --output-file bench/load_test/requirements.txt

lint-migrations: $(INSTALLED) ## Refuse migrations, of those after LINTED_FROM, that would lock a large table
	$(BIN)/alembic upgrade $(LINTED_FROM):head --sql > $(VENV)/migrations.sql
	$(BIN)/python .ci/lint-migrations $(VENV)/migrations.sql

lint-openapi: ## Lint docs/openapi.json with redocly, which needs Node.js 20 or later
	npm ci --silent --prefix $(REDOCLY)
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true $(REDOCLY)/node_modules/.bin/redocly lint \
		--config $(REDOCLY)/redocly.yaml docs/openapi.json

openapi: $(INSTALLED) ## Write docs/openapi.json anew
	$(BIN)/python -m tests.support.documentation

bench: $(INSTALLED) ## Measure the service beside its peers on the same rows, three quarters of an hour
	$(BIN)/python -m bench.compare $(OPTIONS)

bench-anatomy: $(INSTALLED) ## Say what a request to the service consists of
	$(BIN)/python -m bench.anatomy $(OPTIONS)

bench-bridge: $(INSTALLED) ## Measure the bridge beside asgiref's adapter
	$(BIN)/python -m bench.bridge_concurrency

bench-endurance: $(INSTALLED) ## Measure what is left of 1,000,000 requests and 5,000 idle connections, 20 minutes
	$(BIN)/python -m bench.endurance $(OPTIONS)

bench-logins: $(INSTALLED) ## Measure what 500 logins at once cost everybody else
	$(BIN)/python -m bench.login_storm

bench-lists: $(INSTALLED) ## Measure lists of 10,000,000 rows at depth, or of ROWS
	$(BIN)/python -m bench.lists $(if $(ROWS),--rows $(ROWS)) $(OPTIONS)

bench-one-connection: $(INSTALLED) ## Measure what batching reads costs somebody who is alone
	$(BIN)/python -m bench.one_connection $(OPTIONS)

bench-search: $(INSTALLED) ## Measure searches among 1,000,000 users and as many posts, or among ROWS
	$(BIN)/python -m bench.search $(if $(ROWS),--rows $(ROWS)) $(OPTIONS)

bench-server: $(INSTALLED) ## Measure the server beside stock Hypercorn, uvicorn and Granian, a quarter of an hour
	$(BIN)/python -m bench.server $(OPTIONS)

bench-start: $(INSTALLED) ## Measure what a start takes, and which imports are the slowest
	$(BIN)/python -m bench.start_up

bench-standby: $(INSTALLED) ## Measure what it costs to read from a standby, and what it spares the primary
	$(BIN)/python -m bench.standby $(OPTIONS)

load-test: $(INSTALLED) ## Put a mixed day's load on the service, or on that at HOST, and hold it against a budget
	$(BIN)/python -m bench.load_test $(VENV)/load-test $(if $(HOST),--host $(HOST)) $(OPTIONS)

install: $(INSTALLED) ## Make the virtual environment

$(INSTALLED): requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(BROWSER_INSTALLED): $(INSTALLED) tests/browser/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/browser/requirements.txt
	@touch $@

clean: ## Remove what was installed and built; the data in .data stays
	rm -rf $(VENV) build *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
