# The two commands of the README, on a machine with Python 3.11, make and the package registries.
#
#   make demo      its own virtual environment, installation, the main job on synthetic machines
#   make test      the same environment with the test tools, then every check and test
#
# and for those who change it:
#
#   make test ONLY=scoring   the tests of one room (tests/unit/scoring), or of one folder or file
#   make quick     the tests that need no Ray, no server, no training and no seconds
#   make docs      the documentation's site, into docs/_site
#   make sessions  the terminal sessions of the README and the pages, by running them
#   make notebook  docs/notebook/run_in_pandas.ipynb by executing it on RUN (demo_run)
#   make bench     every benchmark of speed, into docs/results/bench.md; leave the machine to it

PYTHON ?= $(shell command -v python3.11 || command -v python3)
RUN ?= demo_run
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Stand-ins for other processors: how torch, oneDNN and MKL compute, and by how many threads. Networks that
# are trained under them have other last digits. A processor without these instructions ignores them.
NO_AVX := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_ENABLE_INSTRUCTIONS=SSE4_2 OMP_NUM_THREADS=1
AVX2 := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE

.PHONY: demo test quick check bench docs sessions notebook clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	$(BIN)/oddsound demo
	$(BIN)/oddsound submission check demo_run/submission --data demo_run/synthetic

ifdef ONLY
ROOM := $(firstword $(wildcard tests/unit/$(ONLY) tests/$(ONLY) $(filter tests/%,$(ONLY))))
ROOMS := $(sort $(patsubst tests/unit/%/,%,$(filter-out %__/,$(wildcard tests/unit/*/))))
test: $(VENV)/installed-test
	$(if $(ROOM),,$(error ONLY=$(ONLY): no such tests; give one of $(ROOMS), or a folder or file below tests/))
	$(PYTEST) $(PARALLEL) $(ROOM)
else
test: $(VENV)/installed-test check
	$(PYTEST) tests/cluster
	$(PYTEST) $(PARALLEL) --durations 20 --ignore tests/cluster
	$(NO_AVX) $(PYTEST) $(PARALLEL) -m trained
	$(AVX2) $(PYTEST) $(PARALLEL) -m "trained and not slow"
endif

quick: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(PYTEST) $(PARALLEL) -m "not slow and not long and not trained and not server" tests/unit

bench: $(VENV)/installed-test
	$(BIN)/python -m benchmarks.bench

docs: $(VENV)/installed-test
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_site

sessions: $(VENV)/installed-test
	$(BIN)/python docs/sessions.py

notebook: $(VENV)/installed-test
	$(BIN)/python docs/notebook/execute.py $(RUN)

check: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
		|| { echo "make: Python 3.11 is needed; say where: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/python pyproject.toml constraints.txt
	@echo "installing into $(VENV): about 5 GB, a few minutes"
	$(PIP) --editable '.[imagenet]'
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) demo_run
