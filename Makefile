# Daybook's tasks. All need Go. Those that run the program or the tests also need PostgreSQL's
# binaries. If there are none, they say how to install them.

# The folder with the real invoices, for `make import`.
DATA ?= $(or $(DAYBOOK_DATA),../shared/data)

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LINT    := go tool -modfile=tools/go.mod golangci-lint

# Four tests of a package run at the same time, because many of them only wait for a server or a
# deadline. (In cmd/daybook it is as many as there are cores: see its TestMain.) Their files are in
# memory if there is enough memory. The names of failed tests are repeated at the end.
TEST    := internal/pgtest/inmemory.sh tools/failed.sh go test -parallel 4

.DEFAULT_GOAL := help
.PHONY: help demo build test race prove image-check walk interop lint-api client check fmt bench import clean

help: ## list these targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## run the whole program with sample data and a database of its own
	bin/daybook demo

build: ## build bin/daybook
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/daybook ./cmd/daybook

# The tests run without go vet, because make check runs it.
test: ## run all tests
	$(TEST) -vet=off -timeout 30m ./...

# The race detector makes a test many times as slow, and finds something only where goroutines meet.
# So it runs with -short, by which tests are left out that only repeat the same with much data (see
# internal/racetest). Packages without goroutines of their own are left out as a whole, such as the
# domain.
UNRACED := '/(cmd/daybook/shoppers|eventstore/gateway/interop|projections/(views|table|[a-z]*view)|internal/(apidoc|arch|embeddedpg|etag|onlineretail|pgmigrate|pgtest|problem|walcheck))$$'

race: ## run the tests in which goroutines meet under the race detector; needs a C compiler
	@command -v $$(go env CC) >/dev/null || { echo "install a C compiler first, such as gcc with libc6-dev"; exit 1; }
	CGO_ENABLED=1 $(TEST) -race -short -vet=off -timeout 20m $$(go list ./cmd/... ./commands/... ./eventstore/... ./internal/... ./projections/... ./readapi/... | grep -vE $(UNRACED))

prove: ## run the tests that are too slow for make test: the KurrentDB engine over servers that behave like real ones, restored logs, a base backup, a killed import, and what make test does with less data
	DAYBOOK_PROVE=all $(TEST) ./eventstore/kurrentdb ./cmd/daybook -run 'OverAServerWithHabits|ReplaceNoConnection|OverPostgres|ALeaderThatDoesNotAnswer|Accept|Restored|KilledInItsMidst|BaseBackup|ThreeNodes|WithoutAKey|Guesser' -count=1 -timeout 20m

image-check: ## run both images of deploy/Dockerfile without a container engine; as root, on a machine with PostgreSQL
	DAYBOOK_IMAGES=all $(TEST) ./cmd/daybook -run 'TestTheImagesRun' -v -count=1 -timeout 10m

walk: ## send random requests to the HTTP API and verify after each; FOR=10m says how long
	DAYBOOK_WALK=$(or $(FOR),10m) $(TEST) ./internal/walk -count=1 -timeout 24h -v

interop: ## test the gateway with the official clients and the golden cases; installs the clients first
	@node --test-force-exit --version >/dev/null 2>&1 && command -v npm >/dev/null || { echo "install Node.js 20.14 or newer, with npm, first"; exit 1; }
	cd eventstore/gateway/interop/kurrentdb && go mod download
	cd eventstore/gateway/interop/node && npm ci --ignore-scripts --no-audit --no-fund
	DAYBOOK_INTEROP=all $(TEST) ./eventstore/gateway/interop/ -v -count=1 -timeout 25m

lint-api: ## check the API's document with two linters, and strict TypeScript made from it; installs them first
	@command -v npm >/dev/null || { echo "install Node.js 20.19 or newer, with npm, first"; exit 1; }
	mkdir -p internal/httpapi/lint/build
	go run ./cmd/daybook openapi >internal/httpapi/lint/build/openapi.json
	cd internal/httpapi/lint && npm ci --ignore-scripts --no-audit --no-fund && REDOCLY_TELEMETRY=off npm run --silent lint

client: ## run two sample shops, in strict TypeScript and in Go, on types that are made from the API's document; installs their packages first
	@command -v npm >/dev/null || { echo "install Node.js 20.19 or newer, with npm, first"; exit 1; }
	mkdir -p internal/httpapi/client/build internal/httpapi/client/go/build/oapi
	go run ./cmd/daybook openapi >internal/httpapi/client/build/openapi.json
	cd internal/httpapi/client/typescript && npm ci --ignore-scripts --no-audit --no-fund && npm run --silent build
	cd internal/httpapi/client/go && go tool ogen --config ogen.yaml --loglevel error --target build/ogen --package ogen --clean ../build/openapi.json && \
		go tool oapi-codegen -generate types,client -package oapi -o build/oapi/client.gen.go ../build/openapi.json && \
		go build -o /dev/null ./build/... && go build -o build/client .
	DAYBOOK_CLIENTS=all $(TEST) ./cmd/daybook -run TestMadeClients -v -count=1 -timeout 10m

check: ## lint, vet, format and modules; the first run builds the linter
	@unformatted=$$(gofmt -l .) && if [ -n "$$unformatted" ]; then echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go mod verify
	$(LINT) config verify
	$(LINT) run

fmt: ## format the code
	$(LINT) fmt

bench: build ## measure the program on this machine, and a baseline for each figure
	@data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT && chmod 711 "$$data" && \
	for name in append hot-sku checkout flash-sale read lag rebuild start gateway-append gateway-read gateway-live; do bin/daybook bench $$name --data "$$data/$$name" || exit 1; done

import: build ## import all real invoices, if they are there, and verify every total
	@test -f "$(DATA)/online_retail.csv.gz" || { echo "no invoices at $(DATA)/online_retail.csv.gz: name their folder by DATA=..."; exit 1; }
	@data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT && chmod 711 "$$data" && \
	bin/daybook import "$(DATA)/online_retail.csv.gz" --opening exact --data "$$data/daybook" && \
	bin/daybook verify --against "$(DATA)/online_retail.csv.gz" --data "$$data/daybook"

clean: ## remove what was built; data directories stay
	rm -rf bin
