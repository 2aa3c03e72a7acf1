# Everything a fresh machine needs: Python 3.9 to 3.12 and g++. Each target makes its own .venv.
#   make demo                                              the whole way on the sample contest
#   make test                                              the test suite
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu    with PyTorch's smaller CPU wheels

PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
BASE := .cache/base-tiny
WEIGHTS := .cache/weights-tiny

.PHONY: demo test slow lint format
demo: .venv/all $(BASE)/model_index.json $(WEIGHTS)
	$(BIN)/jdart run demo
	@echo "Open outputs/site/index.html"

test: .venv/test
	$(BIN)/pytest

slow: .venv/test
	$(BIN)/pytest -m slow -s

lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

$(BASE)/model_index.json: | .venv/all
	$(BIN)/jdart base new $(BASE) --preset tiny --seed 0

$(WEIGHTS): | .venv/all
	$(BIN)/jdart-eval weights new $(WEIGHTS) --seed 11

# Stamps of what is installed: all = train and eval, test and dev add their extras.
.venv/all: setup.cfg | .venv/bin/python
	@command -v g++ >/dev/null || { echo "g++ is needed: apt-get install g++"; exit 2; }
	$(if $(TORCH_INDEX),$(BIN)/pip install --quiet torch torchvision --index-url $(TORCH_INDEX))
	$(BIN)/pip install --quiet --editable '.[all]'
	@touch $@

.venv/test: .venv/all
	$(BIN)/pip install --quiet --editable '.[all,test]'
	@touch $@

.venv/dev: .venv/test
	$(BIN)/pip install --quiet --editable '.[all,test,dev]'
	@touch $@

.venv/bin/python:
	$(PYTHON) -m venv .venv
