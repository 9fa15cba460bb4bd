# `make demo` and `make test` do all the set-up on a fresh Debian/Ubuntu with Python >= 3.11 and git.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 7860
HOST ?= 127.0.0.1
SERVE ?= 1
STAMP := $(VENV)/.installed

.PHONY: demo test test-all lint format system setup clean

setup: $(STAMP) system

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev,export,track]"
	touch $@

system:
	@bash tools/system_libraries.sh

demo: setup
	$(BIN)/python tools/demo.py --out out
	@if [ "$(SERVE)" = "1" ]; then $(BIN)/python -m app --host $(HOST) --port $(PORT); fi

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup lint
	$(BIN)/python -m pytest -m "not slow"

test-all: setup lint
	$(BIN)/python -m pytest

clean:
	rm -rf out build dist *.egg-info .pytest_cache .ruff_cache
