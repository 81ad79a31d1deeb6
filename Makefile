# Two commands do everything on a fresh machine: `make profile` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# whoever is done takes tests from the others: with chunks dealt out, all waited minutes for the last process
PROCESSES := -n auto --maxprocesses 4 --dist worksteal

# Tests start hundreds of processes: without compiled files each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: profile test test-quick test-phone lint docs install clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lutbench needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

profile: $(STAMP)
	$(BIN)/lutbench profile --device host

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	rm -rf build/types && mkdir -p build/types && cp -rs $(CURDIR)/lutbench build/types/
	ln -s $(CURDIR)/search $(CURDIR)/device_agents build/types/lutbench/ # one package, as it is imported
	cd build/types && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache

# Tests write thousands of small files, half a gigabyte at most: a folder in memory, where there is one with room that
# programs may be started from, spares them the disk. A TMPDIR that is set is taken as it is.
test: $(STAMP)
	folder=$$([ -n "$$TMPDIR" ] || sh tests/folder_in_memory.sh); [ -z "$$folder" ] || export TMPDIR="$$folder"; \
	  $(BIN)/pytest $(PROCESSES) $(ARGS) || exit; \
	  [ -z "$$folder" ] || rm -rf "$$folder" # what failed is left to be looked at

test-quick: $(STAMP) # what one runs while changing code: no exports, no processes
	LUTBENCH_QUICK=1 $(BIN)/pytest $(PROCESSES) -m 'not slow' $(ARGS)

test-phone: $(STAMP)
	LUTBENCH_REQUIRE_PHONE=1 LUTBENCH_LONG=1 $(BIN)/pytest tests/phone

docs: $(STAMP) # the site, in build/site; a broken link fails it (with --quiet nothing would)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist *.egg-info
