# All set-up happens by itself. Variables that a user may set:
PYTHON ?= python3#   the interpreter to build the environment from, 3.11 or newer
VENV ?= .venv#       the environment
JOBS ?= 2#           how many chapters or labs run at once
TORCH_INDEX ?=#      where pip finds torch, for a build other than the default one
SITE = _build/html

BIN := $(VENV)/bin
export PYTHONDONTWRITEBYTECODE = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: book site test lint records unit labs chapters browser benchmark test-portable execute serve lock clean help
.DEFAULT_GOAL := help

help:  ## show this help
	@echo "make COMMAND, for example: make book"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ktreview needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# Three stages: reading and building the book, running its labs, and testing and writing it.
$(VENV)/.book: $(VENV)/.python requirements.txt pyproject.toml
	$(BIN)/pip install --quiet --requirement requirements.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.labs: $(VENV)/.book requirements-labs.txt requirements-labs-data.txt
	$(BIN)/pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --requirement requirements-labs.txt
	$(BIN)/pip install --quiet --no-deps --requirement requirements-labs-data.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.labs requirements-dev.txt
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	@touch $@

book: $(VENV)/.book  ## build the site from the committed outputs
	@$(BIN)/ktreview execute --check || true
	@$(MAKE) --no-print-directory site
	@echo "The book is built. Open $(CURDIR)/$(SITE)/index.html"

site: $(VENV)/.book
	$(BIN)/jupyter-book build . --warningiserror --nitpick --keep-going --quiet
	@$(BIN)/ktreview pages $(SITE)

test: lint records unit labs chapters browser  ## run every test
	@echo "All tests passed."

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

records: $(VENV)/.dev
	$(BIN)/ktreview check
	$(BIN)/ktreview execute --check

unit: $(VENV)/.dev
	$(BIN)/pytest --ignore tests/site -n $(JOBS) --dist loadfile

labs: $(VENV)/.labs  ## run every lab afresh and compare with what is committed
	$(BIN)/ktreview lab run --all --fresh --jobs $(JOBS)

benchmark: $(VENV)/.dev  ## measure how fast labs and chapters run, as ratios
	$(BIN)/python tests/benchmarks/speed.py

chapters: $(VENV)/.dev
	$(BIN)/pytest --nbval --nbval-current-env -n $(JOBS) --dist loadfile -p no:cacheprovider book

browser: $(VENV)/.dev
	@rm -rf _build
	@$(MAKE) --no-print-directory site
	$(BIN)/pytest tests/site -n $(JOBS) --dist loadgroup

test-portable: $(VENV)/.dev  ## re-execute chapters and labs under other machine settings and compare
	$(BIN)/python tests/portable.py

execute: $(VENV)/.book  ## re-execute the chapters and rewrite their outputs
	$(BIN)/ktreview execute --jobs $(JOBS)

serve: $(VENV)/.dev  ## build, serve on localhost and rebuild on change
	$(BIN)/jupyter-book config sphinx .
	$(BIN)/sphinx-autobuild . $(SITE) -c . --watch src --ignore '*/_build/*' --re-ignore '\.(partial|pyc)$$'

COMPILE = $(BIN)/python -m piptools compile --quiet --strip-extras --allow-unsafe --no-header --no-emit-index-url --no-emit-find-links
lock: $(VENV)/.dev  ## pin the newest fitting versions into requirements*.txt
	$(COMPILE) --upgrade --output-file requirements.txt pyproject.toml
	$(COMPILE) --extra labs --constraint requirements.txt --output-file requirements-labs.txt pyproject.toml
	@sed -i.bak 's/^\(torch==[0-9.]*\)+.*/\1/' requirements-labs.txt && rm requirements-labs.txt.bak
	$(COMPILE) --extra dev --constraint requirements-labs.txt --output-file requirements-dev.txt pyproject.toml

clean:  ## remove everything that was built
	rm -rf _build $(VENV) book/references.bib conf.py
