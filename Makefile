# `make demo` and `make test` do all the set-up on a fresh Debian/Ubuntu with Python >= 3.11 and git.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 7860
HOST ?= 127.0.0.1
SERVE ?= 1
JOBS ?= 2
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed_for_tests

.PHONY: demo test test-all lint format system browser setup test-setup clean

setup: $(STAMP) system

test-setup: $(TEST_STAMP) system browser

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev,export,track]"
	touch $@

# Ray and pillow-heif are for a test each: where they have no wheel, it is skipped and says so.
$(TEST_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet -e ".[ray]" || echo "Ray could not be installed here: its test is skipped"
	$(BIN)/python -m pip install --quiet -e ".[heic]" || echo "pillow-heif could not be installed here: its test is skipped"
	touch $@

system:
	@bash tools/system_libraries.sh

browser:
	@bash tools/browser.sh

demo: setup
	$(BIN)/python tools/demo.py --out out
	@if [ "$(SERVE)" = "1" ]; then $(BIN)/python -m app --host $(HOST) --port $(PORT); fi

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Test files are shared out over JOBS processes of one thread each, so that two cores are never waiting for one.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs --numprocesses $(JOBS) --dist loadfile

test: test-setup lint
	$(PYTEST) -m "not slow"

test-all: test-setup lint
	$(PYTEST)

clean:
	rm -rf out build dist *.egg-info .pytest_cache .ruff_cache
