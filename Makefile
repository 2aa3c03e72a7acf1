# Everything a fresh machine needs: Python 3.9 to 3.12 and g++. Each target makes its own .venv.
#   make demo                                              train, draw, score and publish four entries to the toy contest
#   make test                                              the test suite
#   make methods                                           what each method does alone: docs/methods.md (one to two hours; resumes)
#   make recipes                                           every recipe on the toy contest: docs/recipes-toy.md (under 2 hours; resumes)
#   make docs                                              the documentation as a site, build/site/index.html
#   make chaos                                             kill every command at random moments, and other faults: docs/reliability.md
#   make soak                                              hundreds of scorings and boards in one process: docs/reliability.md
#   make toy                                               train the toy base model and the toy weights anew (under 2 hours)
#   make test LOCKED=1                                     with the very packages that it was run with, by their hashes: docs/supply-chain.md
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu    with PyTorch's smaller CPU wheels

PYTHON ?= python3
TORCH_INDEX ?=
LOCKED ?=
LOCK := requirements/test-py311-linux.txt
BIN := .venv/bin
FONT := /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf

.PHONY: demo methods recipes toy test slow clients jdiffusion fuzz chaos soak lock lint format docs
demo: .venv/all
	$(BIN)/jdart demo

methods: .venv/all
	$(BIN)/jdart ablate methods --page docs/methods.md

recipes: .venv/all
	$(BIN)/jdart ablate recipes --page docs/recipes-toy.md

# glibc keeps its memory between steps: in a virtual machine page faults can take half the time
toy: export MALLOC_MMAP_THRESHOLD_ = 4294967296
toy: export MALLOC_TRIM_THRESHOLD_ = 8589934592
toy: $(FONT) .venv/test
	$(BIN)/python -m toylab

$(FONT):
	@echo "the glyphs are needed: apt-get install fonts-noto-color-emoji"; exit 2

# two processes, a file in one of them, each with a thread: on two cores that is faster than two threads for each test
test: .venv/test
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

slow: .venv/test
	$(BIN)/pytest -m slow -s

# LoRA files in ComfyUI, sd-scripts and LyCORIS by their own code, cloned from GitHub or taken from CLIENTS_DIR/<program>
clients: .venv/test
	$(BIN)/pytest -m clients -s tests/clients

# the engine jdiffusion on the real JDiffusion, whose interpreter is in JDIFFUSION_PYTHON (docs/engines.md)
jdiffusion: .venv/test
	$(BIN)/pytest -m jdiffusion -s tests/jdiffusion

# every reader of a stranger's files for SECONDS each (docs/reliability.md); what was found useful is kept in build/fuzz
SECONDS ?= 60
fuzz: .venv/test
	$(BIN)/pip install --quiet 'atheris >= 2.3'
	$(BIN)/python tests/fuzz/fuzz_for_long.py --seconds $(SECONDS)

# faults of a machine (docs/reliability.md); build/chaos keeps what was done, and the same call goes on
KILLS ?= 100
SEED ?= 0
chaos: .venv/test
	$(BIN)/python -m benchmarks.reliability.chaos --kills $(KILLS) --seed $(SEED)

SCORINGS ?= 300
BOARDS ?= 500
soak: .venv/test
	$(BIN)/python -m benchmarks.reliability.soak --scorings $(SCORINGS) --boards $(BOARDS)

# the packages that are installed here, with hashes from PyPI
lock: .venv/test
	$(BIN)/pip install --quiet 'uv == 0.8.17'
	mkdir -p build && $(BIN)/pip freeze --exclude-editable > build/installed.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--python-platform x86_64-unknown-linux-gnu --constraint build/installed.txt --extra all --extra test setup.cfg -o $(LOCK)
	sed -i '1i # The environment in which the suite was run: Python 3.11 on Linux x86-64. Written by: make lock' $(LOCK)

lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: .venv/docs
	$(BIN)/mkdocs build --strict

format: .venv/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Stamps of what is installed: all = train and eval, test and dev add their extras.
.venv/all: setup.cfg | .venv/bin/python
	@command -v g++ >/dev/null || { echo "g++ is needed: apt-get install g++"; exit 2; }
	$(if $(LOCKED),$(BIN)/pip install --quiet --require-hashes --requirement $(LOCK))
	$(if $(TORCH_INDEX),$(BIN)/pip install --quiet torch torchvision --index-url $(TORCH_INDEX))
	$(BIN)/pip install --quiet --editable '.[all]'
	@touch $@

.venv/test: .venv/all
	$(BIN)/pip install --quiet --editable '.[all,test]'
	@touch $@

.venv/dev: .venv/test
	$(BIN)/pip install --quiet --editable '.[all,test,dev]'
	@touch $@

.venv/docs: .venv/all
	$(BIN)/pip install --quiet --editable '.[all,docs]'
	@touch $@

.venv/bin/python:
	$(PYTHON) -m venv .venv
