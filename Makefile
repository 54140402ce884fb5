PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROSE = $(filter-out docs/commands.md,$(wildcard *.md docs/*.md))
TEXTLINT := $(CURDIR)/$(VENV)/prose/node_modules

.PHONY: demo test lint prose dist site data image browser fuzz clean

demo: $(VENV)/ready
	$(BIN)/loraleak demo --out demo

test: $(VENV)/ready-dev lint browser
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/proselint check $(PROSE)
	@$(MAKE) --no-print-directory prose

# The rules of docs/style.md that a machine can hold, in .textlintrc.json. textlint comes from npm.
prose:
	@test -x $(TEXTLINT)/.bin/textlint || { command -v npm >/dev/null && npm install --silent --no-audit --no-fund --no-save --fetch-retries=1 --fetch-timeout=20000 \
	  --prefix $(VENV)/prose textlint@15.8.0 textlint-rule-sentence-length@5.2.1 @textlint-rule/textlint-rule-pattern@2.0.2; } \
	|| { echo "no npm, or no network: textlint is left out"; exit 0; }; \
	! test -x $(TEXTLINT)/.bin/textlint || $(TEXTLINT)/.bin/textlint --rules-base-directory $(TEXTLINT) $(filter-out docs/style.md docs/api.md,$(PROSE))

# Wheel and sdist, the wheel made from the sdist; then both commands in an environment that has nothing else.
dist: $(VENV)/ready-dev
	rm -rf dist
	$(BIN)/python -m hatchling build --target sdist
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist dist/*.tar.gz
	$(PYTHON) -m venv dist/clean
	dist/clean/bin/pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	dist/clean/bin/pip check
	cd dist && clean/bin/loraleak --version && clean/bin/loraleak demo --out demo

# The docs as a site, with the notebooks run. A warning or a dead link is an error.
site: $(VENV)/ready-dev
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# What others need to compare with our numbers (docs/data.md).
data: $(VENV)/ready-dev
	$(BIN)/python benchmarks/data.py data --victims $${VICTIMS:-50}

# The image of the Dockerfile, built and run once. Buildah builds and runs it too: buildah bud, buildah run.
image:
	@builder=$$(command -v docker || command -v podman) || { echo "no docker and no podman: install one of them"; exit 1; }; \
	$$builder build -t loraleak $(if $(TORCH_INDEX),--build-arg TORCH_INDEX=$(TORCH_INDEX)) . && $$builder run --rm loraleak --version

# Longer than the smoke among the tests; what it finds stays in found/.
fuzz: $(VENV)/ready-dev
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	mkdir -p found
	$(BIN)/python fuzz/fuzz_reader.py found fuzz/corpus -max_total_time=$${SECONDS_OF_FUZZING:-1800} -rss_limit_mb=2048

# Reports and pages are opened in a real browser, and npm fetches Python for it; Debian's packages are installed where we may.
browser:
	@command -v npm >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	     DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm >/dev/null; } \
	|| echo "no npm: the tests of the page without a server will be skipped (they fail where CI=true); install Node.js"
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	     DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null; } \
	|| echo "no Chromium: the browser tests will be skipped (they fail where CI=true); apt install chromium chromium-driver"

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV)
