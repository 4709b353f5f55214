# Comparing sites and dependencies; included by the Makefile.
EXIT_PYTHON ?= $(PYTHON)#  the interpreter of `make exit-build`
EXIT_VENV = _build/exit-venv
RESOLUTION ?= lowest-direct#  of `make test-dependencies`: lowest-direct or highest
RESOLVED = _build/resolved

.PHONY: differences exit-build exit-lock test-dependencies

differences: $(VENV)/.dev  ## tell what articles say otherwise than in the first edition, and why
	@$(MAKE) --no-print-directory site
	@$(BIN)/python tests/site/articles.py --expected $(SITE)

$(EXIT_VENV)/.done: requirements-exit.txt
	$(EXIT_PYTHON) -m venv --clear $(EXIT_VENV)
	$(EXIT_VENV)/bin/pip install --quiet --require-hashes --requirement requirements-exit.txt
	$(EXIT_VENV)/bin/pip install --quiet --no-deps --editable .
	@touch $@

exit-build: $(VENV)/.dev $(EXIT_VENV)/.done  ## build the same pages with plain, new Sphinx and compare them
	@$(MAKE) --no-print-directory site
	$(BIN)/python tests/exit_build.py settings > _build/exit-settings.json
	rm -rf _build/exit
	$(EXIT_VENV)/bin/python tests/exit_build.py build _build/exit < _build/exit-settings.json
	$(BIN)/python tests/site/articles.py $(SITE) _build/exit/html

exit-lock: $(VENV)/.dev
	$(BIN)/python tests/exit_build.py requirements | $(COMPILE) --no-annotate --output-file requirements-exit.txt -

# Packages to come warn of what older ones do: not of what is done here.
test-dependencies:  ## run the quick tests with the oldest dependencies that pyproject.toml allows
	$(PYTHON) -m venv --clear $(RESOLVED)
	$(RESOLVED)/bin/pip install --quiet uv
	$(RESOLVED)/bin/uv pip compile --quiet --resolution $(RESOLUTION) --extra book --no-annotate \
	  --python $(RESOLVED)/bin/python --output-file $(RESOLVED)/book.txt pyproject.toml
	$(RESOLVED)/bin/uv pip install --quiet --python $(RESOLVED)/bin/python --constraint $(RESOLVED)/book.txt \
	  --editable '.[book,dev]'
	$(RESOLVED)/bin/python -m pytest tests/unit -m "not slow" -n $(JOBS) --dist loadfile --quiet \
	  -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning -W ignore::FutureWarning \
	  -W ignore::pandas.errors.PerformanceWarning
