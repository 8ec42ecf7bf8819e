# flagbase. `make run` and `make test` are all a new machine with Go 1.26 and Node needs.

GO      ?= go
BIN     := bin/flagbase
ADDR    ?= 127.0.0.1:8080
DATA    ?= ./flagbase-data
SOAK    ?= 1000000
QUICKJS := internal/quickjs/dist/quickjs.wasm
STATIC  := $(GO) tool -modfile=tools/go.mod staticcheck
export CGO_ENABLED ?= 0

.PHONY: help run build test check bench bench-doc soak fuzz generate deps clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## Build what is missing and start the server on its embedded default (ADDR, DATA)
	$(BIN) start --addr $(ADDR) --data $(DATA)

build: $(QUICKJS) ## Build bin/flagbase
	$(GO) build -trimpath -o $(BIN) ./cmd/flagbase

node_modules/.installed: package.json package-lock.json
	npm ci --no-fund --no-audit
	@touch $@

$(QUICKJS): node_modules/.installed
	$(GO) run ./internal/quickjs/fetch

deps: $(QUICKJS) ## Install what the tests use beyond Go and Node, where this machine allows it
	@.ci/deps

test: build deps ## Run all tests, also of the guest SDK and the examples
	.ci/test

check: $(QUICKJS) ## Format, vet, staticcheck, walls, generated files, other systems
	.ci/check

bench/node_modules/.installed: bench/package.json bench/package-lock.json
	cd bench && npm ci --no-fund --no-audit
	@touch $@

bench: build node_modules/.installed bench/node_modules/.installed ## Measure against peers (needs a C compiler); tables, goals, bench/out/bench.json. BENCH="-only http -each 1s", BENCH=-quick
	cd bench && CGO_ENABLED=1 $(GO) run . $(BENCH)

soak: build node_modules/.installed ## A million invocations of mixed guests (SOAK=n): does anything grow? Takes minutes; bench/out/soak.json
	cd bench && CGO_ENABLED=1 $(GO) run . -soak $(SOAK)

bench-doc: ## Write docs/performance.md and its picture from bench/out
	cd bench && CGO_ENABLED=1 $(GO) run . -doc

fuzz: $(QUICKJS) ## Run every fuzz target for FUZZTIME (default 30s) each
	.ci/fuzz

generate: ## Regenerate what is generated and committed
	$(GO) generate ./...

clean: ## Remove what was built
	rm -rf bin bench/out bench/node_modules examples/build internal/quickjs/dist/quickjs.wasm node_modules/.installed
