# SPDX-License-Identifier: Apache-2.0
# make demo | test | check | clean. Every target sets up what it needs; PYTHON=python3.12 chooses the interpreter.
PYTHON ?= python3
PYTEST_WORKERS ?= 2
BIN := .venv/bin
# mypy wants the package's name on disk, and this folder may have any name.
NAMES := .mypy_cache/names
ROOMS := arch golden rtl cosim boards host
export PYTHON

.PHONY: help demo test check lint setup clean

help:
	@echo 'make demo   learn digits on the golden model and on the simulated hardware, compare them, write report.html'
	@echo 'make test   ruff, mypy and all tests (what continuous integration runs)'
	@echo 'make check  ruff, mypy and the fast tests: the loop while working'
	@echo 'make clean  remove .venv, caches and build results'

setup:
	@sh tools/setup.sh

demo: setup
	@$(BIN)/trifactor demo $(DEMO)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p $(NAMES) && ln -sfn "$(CURDIR)" $(NAMES)/trifactor
	MYPYPATH=$(NAMES) $(BIN)/mypy -m trifactor $(addprefix -p trifactor.,$(ROOMS))

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal

check: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal -m 'not slow'

clean:
	rm -rf .venv build trifactor.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
