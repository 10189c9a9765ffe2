# The two commands of the README, on a machine with Python 3.11, make and the package registries.
#
#   make demo      its own virtual environment, installation, the main job on synthetic machines
#   make test      the same environment with the test tools, then every check and test
#   make docs      the documentation's site, into docs/_site
#   make sessions  the terminal sessions of the README and the pages, by running them
#   make notebook  docs/notebook/run_in_pandas.ipynb by executing it on RUN (demo_run)
#   make bench     every benchmark of speed, into docs/results/bench.md; leave the machine to it

PYTHON ?= $(shell command -v python3.11 || command -v python3)
RUN ?= demo_run
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check bench docs sessions notebook clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	$(BIN)/oddsound demo
	$(BIN)/oddsound submission check demo_run/submission --data demo_run/synthetic

test: $(VENV)/installed-test check
	$(BIN)/python -m pytest tests/cluster
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --durations 20 \
		--ignore tests/cluster

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
