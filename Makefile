# make demo   the main job on the embedded case        make test    all tests
# make check  format, lint, types, layers, the site    make clean   remove .venv and caches
# make docs   the site into build/site                 make dist    wheel and source archive, checked
# make versions  every Python and torch there is
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check docs format pictures third-party gallery evidence dist versions clean
.DEFAULT_GOAL := demo

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,peers,frameworks,docs]'
	@touch $@

demo: .venv/installed
	$(BIN)/skipway cure

test: .venv/installed
	$(BIN)/python -m pytest

check: .venv/installed docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A warning of the build is an error. Open build/site/index.html; no server is needed.
docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pictures: .venv/installed
	$(BIN)/skipway cure --folder build/pictures
	$(BIN)/python docs/pictures.py build/pictures

# every example once more, some minutes; docs/gallery.md is written from what they say and print
gallery: .venv/installed
	$(BIN)/python docs/gallery.py

# The two libraries that the report holds, as they were released; npm checks what it fetches.
UPLOT := 1.6.32
SVG_PAN_ZOOM := 3.6.2
THIRD := src/skipway/report/third_party
third-party:
	rm -rf build/third-party && mkdir -p build/third-party
	cd build/third-party && npm pack --silent uplot@$(UPLOT) svg-pan-zoom@$(SVG_PAN_ZOOM)
	cd build/third-party && for name in uplot svg-pan-zoom; do \
	  mkdir $$name && tar xzf $$name-*.tgz -C $$name --strip-components=1 || exit 1; \
	done
	cp build/third-party/uplot/dist/uPlot.iife.min.js build/third-party/uplot/dist/uPlot.min.css $(THIRD)
	cp build/third-party/svg-pan-zoom/dist/svg-pan-zoom.min.js $(THIRD)
	cp build/third-party/uplot/LICENSE $(THIRD)/uPlot.LICENSE
	cp build/third-party/svg-pan-zoom/LICENSE $(THIRD)/svg-pan-zoom.LICENSE
	cd $(THIRD) && sha256sum uPlot* svg-pan-zoom* > SHA256SUMS

# every claim once more, one thread, about an hour; docs/evidence.md is written from the results.
# One wants Fashion-MNIST: apt-get install dataset-fashion-mnist
evidence: .venv/installed
	for claim in benchmarks/evidence/claims/*.py; do \
	  case $$claim in */record.py|*/images.py|*/page.py) continue;; esac; \
	  $(BIN)/python $$claim || exit 1; \
	done
	$(BIN)/python benchmarks/evidence/claims/page.py

dist: .venv/installed
	rm -rf dist
	$(BIN)/python -m hatchling build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m check_wheel_contents dist/*.whl

# each in an environment of its own, which is removed again; with torch's default build 6 GB
versions: .venv/installed
	$(BIN)/python benchmarks/versions.py

clean:
	rm -rf .venv build/versions dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
