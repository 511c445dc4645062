# What people and machines run; `make` alone lists it. Every path is relative, so that a folder's name may hold spaces.
.DEFAULT_GOAL := help
.PHONY: help run test test-unit chaos lint format lock clean venv venv-test system
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
UV_VERSION := 0.13.9

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

run: venv ## Set up what is missing and run the whole pipeline; Ctrl-C stops it
	@exec $(BIN)/python -m ops_assist up

test: lint system ## Set up what is missing and run all checks and tests, the fast ones first
	@$(BIN)/python -m pytest -n 2 tests/unit
	@$(BIN)/python -m pytest tests/integration tests/kafka tests/end_to_end tests/chaos tests/browser --durations=10
	@echo "make test: all checks and tests passed"

test-unit: venv-test ## Run the unit tests only: no broker, no database, under half a minute
	@$(BIN)/python -m pytest -q -n 2 tests/unit

chaos: venv-test ## 72 seeded disturbances (about 8 minutes; CHAOS_ROUNDS for more); writes .state/chaos-report.md
	@CHAOS_ROUNDS=$${CHAOS_ROUNDS:-3} $(BIN)/python -m pytest -s tests/chaos

lint: venv-test ## Check style, types and import rules; change nothing
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check --quiet .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-cache

format: venv-test ## Bring the code to its one form
	@$(BIN)/python -m ruff check --fix .
	@$(BIN)/python -m ruff format .

lock: venv-test ## Choose the newest versions that pyproject.toml allows and write the locked lists
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make lock" pyproject.toml requirements-build.in -o requirements.txt
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --extra test \
		--constraint requirements.txt \
		--custom-compile-command "make lock" pyproject.toml requirements-build.in -o requirements-test.txt
	@echo "requirements.txt and requirements-test.txt are new; run make test before you commit them"

clean: ## Remove .venv and caches; the pipeline's data in .state stays
	@rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@sh deploy/set_up_venv.sh requirements.txt

venv-test:
	@sh deploy/set_up_venv.sh requirements-test.txt

system:
	@sh deploy/set_up_system.sh
