# Everything a person does with a checkout. Each target does its own set-up first; nothing has to be installed by hand.
.DEFAULT_GOAL := help
.PHONY: help demo test check format stubs lock diagrams rules banks bench sim model chaos image-steps setup clean

SETUP := sh deploy/scripts/setup.sh
BIN := .venv/bin
WORKERS ?= 2
ARGS ?=
SEEDS ?= 100000

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo "  ARGS=… is handed on: make demo ARGS=--help, make test ARGS='-k lifecycle'"

demo: ## a bank, the gateway and 226 payments on this machine; BANK=icbc: over a Chinese front machine
	@$(SETUP) $(if $(filter cmb_cloud,$(BANK)),dev,run)
	@$(BIN)/bankgate demo $(if $(BANK),--bank $(BANK)) $(ARGS)

test: ## every test and every check
	@$(SETUP) dev
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup tests $(ARGS)

check: ## format, style, types, import directions, stubs (part of `make test`)
	@$(SETUP) dev
	@$(BIN)/python deploy/scripts/check.py $(ARGS)

format: ## bring the code into its form
	@$(SETUP) dev
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

stubs: ## make proto/bankgate/v1/*_pb2* from the .proto files
	@$(SETUP) dev
	@$(BIN)/python deploy/scripts/stubs.py

diagrams: ## draw docs/lifecycle.md from the tables of gateway/lifecycle.py
	@$(SETUP) dev
	@$(BIN)/python deploy/scripts/lifecycle_diagram.py

rules: ## write docs/rules.md from the packs of formats/rules/
	@$(SETUP) dev
	@$(BIN)/python deploy/scripts/rules_page.py

banks: ## write docs/banks/ from the plugins of Chinese banks and docs/banks/notes/
	@$(SETUP) dev
	@$(BIN)/python deploy/scripts/banks_page.py

lock: ## write the lock files from pyproject.toml; ARGS=--upgrade takes the newest versions
	@$(SETUP) dev
	@$(BIN)/python deploy/scripts/lock.py $(ARGS)

bench: ## measure against peers on this machine
	@$(SETUP) bench
	@$(BIN)/bankgate bench $(ARGS)

model: ## every interleaving of the delivery protocol in larger bounds than `make test` (minutes)
	@$(SETUP) dev
	@$(BIN)/python -m tests.model $(ARGS)

image-steps: ## build the image's file system by the Dockerfile's own steps, without a Docker engine (Linux, root)
	@$(SETUP) dev
	@$(BIN)/python deploy/scripts/image_steps.py $(ARGS)

chaos: ## kill, freeze, cut and fill everything while payments flow; SEED=1 SECONDS=60 RUNS=3 are what it takes if not told
	@$(SETUP) dev
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --seconds $(or $(SECONDS),60) --runs $(or $(RUNS),3) $(ARGS)

setup: ## only the set-up
	@$(SETUP) dev

clean: ## remove .venv and everything that was made
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist demo-data
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

sim: ## lives with everything that breaks, each from a seed: SEEDS=100000, SEEDS=500-900, or SEEDS=4711 WORLD=blind told step by step
	@$(SETUP) dev
	@$(BIN)/python -m tests.sim $(SEEDS) $(if $(WORLD),--world $(WORLD)) $(if $(PAYMENTS),--payments $(PAYMENTS)) $(ARGS)
