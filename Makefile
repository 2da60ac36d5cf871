# make demo   the main job on the embedded case        make test    all tests
# make check  format, lint, types, layers              make clean   remove .venv and caches
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format pictures evidence clean
.DEFAULT_GOAL := demo

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,peers,frameworks]'
	@touch $@

demo: .venv/installed
	$(BIN)/skipway cure

test: .venv/installed
	$(BIN)/python -m pytest

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pictures: .venv/installed
	$(BIN)/skipway cure --folder build/pictures
	$(BIN)/python docs/pictures.py build/pictures/report.html docs/report.png

# every claim once more, about ten minutes; the page docs/evidence.md is written from the results
evidence: .venv/installed
	for claim in benchmarks/evidence/claims/*.py; do \
	  case $$claim in */record.py|*/page.py) continue;; esac; \
	  $(BIN)/python $$claim || exit 1; \
	done
	$(BIN)/python benchmarks/evidence/claims/page.py

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
