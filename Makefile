# Targets with a "##" are listed by plain `make`.

GOLANGCI_LINT_VERSION := v2.15.0
GOFUMPT_VERSION       := v0.12.0
GOVULNCHECK_VERSION   := v1.8.0
ACTIONLINT_VERSION    := v1.7.12

GO  ?= go
T   ?= 30s
BIN := $(CURDIR)/bin

LINTER      := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOFUMPT     := $(BIN)/gofumpt-$(GOFUMPT_VERSION)
GOVULNCHECK := $(BIN)/govulncheck-$(GOVULNCHECK_VERSION)
ACTIONLINT  := $(BIN)/actionlint-$(ACTIONLINT_VERSION)
# What writes into a release is pinned in a module of its own, by checksum.
CYCLONEDX   := $(BIN)/cyclonedx-gomod
GO_LICENSES := $(BIN)/go-licenses

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -buildid= -X main.version=$(VERSION) -X main.commit=$(COMMIT)

.DEFAULT_GOAL := help
# One step after the other: two cores gain nothing from two suites at once, and
# timing assertions lose.
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: check
check: format-diff vet lint tidy-diff workflows licences vulnerabilities test race chaos-ci ## all that CI runs

.PHONY: test
test: ## every test, shuffled; installs redis-server if it is missing
	@.ci/ensure redis-server
	$(GO) test -shuffle=on ./...

.PHONY: race
race: ## every test under the race detector
	@.ci/ensure redis-server cc
	CGO_ENABLED=1 $(GO) test -race -shuffle=on ./...

.PHONY: e2e
e2e: ## the sidecar in front of a real shop platform; needs Node.js 20 and npm
	@.ci/ensure node npm
	cd bench/e2e/vendure && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	VITRINE_E2E=1 $(GO) test -count=1 ./bench/e2e

.PHONY: ledger
ledger: ## ten long runs of the proof that no event is lost (about ten minutes)
	@.ci/ensure redis-server
	LEDGER_SEEDS=10 $(GO) test -count=1 -timeout 30m -run 'TestLedger$$' -v ./cmd/vitrine

.PHONY: isolation
isolation: ## a million requests, none of which may get another's list, under the race detector (about half an hour)
	@.ci/ensure redis-server cc
	$(GO) run ./bench isolation -n 1000000 -race

.PHONY: chaos-ci
chaos-ci: ## the short fault suite: counts, sources and losses; times are only printed
	@.ci/ensure redis-server
	$(GO) run ./bench chaos -suite ci

.PHONY: vet
vet: ## go vet
	$(GO) vet ./...

.PHONY: lint
lint: $(LINTER) ## golangci-lint, as .golangci.yml says
	$(LINTER) run ./...

.PHONY: format
format: $(GOFUMPT) ## rewrite the sources as gofumpt wants them
	$(GOFUMPT) -l -w .

.PHONY: format-diff
format-diff: $(GOFUMPT) ## fail, showing what gofumpt would change
	@diff="$$($(GOFUMPT) -d .)"; if [ -n "$$diff" ]; then printf '%s\n' "$$diff"; echo "run: make format" >&2; exit 1; fi

.PHONY: tidy-diff
tidy-diff: ## fail, showing what go mod tidy would change
	$(GO) mod tidy -diff

# What is not ours to build a release on, a tool that cannot be had or a database that
# does not answer, is skipped by these three, and says so.
.PHONY: workflows
workflows: ## actionlint on what GitHub runs
	@$(call with,$(ACTIONLINT),$(ACTIONLINT))

.PHONY: licences
licences: ## fail unless all that is linked has an allowed licence, and is in the notices
	@$(call with,$(GO_LICENSES),.ci/licences $(GO_LICENSES))

.PHONY: vulnerabilities
vulnerabilities: ## known vulnerabilities that the code reaches; GOVULNDB= names another database
	@$(call with,$(GOVULNCHECK),.ci/vulnerabilities $(GOVULNCHECK))

.PHONY: notices
notices: $(GO_LICENSES) ## write deploy/THIRD_PARTY_NOTICES anew
	@.ci/licences $(GO_LICENSES) --write

.PHONY: fuzz
fuzz: ## every fuzz target in turn, for T each (make fuzz T=30s)
	@grep -rE --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]+' . | sort | while IFS=: read -r file target; do \
		name="$${target#func }"; \
		echo "== $$name in $$(dirname "$$file")"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(T) -fuzzminimizetime 100x "$$(dirname "$$file")" || exit 1; \
	done

.PHONY: bench
bench: ## every Go benchmark, with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: golden
golden: ## write the golden files and generated documents anew (tests named TestGolden…)
	@grep -rlE --include='*_test.go' 'flag\.Bool\("update"' . | xargs -n1 dirname | sort -u | while read -r package; do \
		$(GO) test -count=1 -run Golden "$$package" -update || exit 1; \
	done

OUT ?= dist/vitrine

.PHONY: build
build: ## dist/vitrine: one static binary, the same bytes from any folder
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags='$(LDFLAGS)' -o $(OUT) ./cmd/vitrine

PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
RELEASE   := dist/release

# An SBOM is made from its binary: it has what was linked, and no date or number of its own.
.PHONY: release
release: $(CYCLONEDX) ## dist/release: binaries for Linux and macOS, their SBOMs, notices and checksums
	rm -rf $(RELEASE) && mkdir -p $(RELEASE)
	@set -e; for platform in $(PLATFORMS); do \
		os="$${platform%/*}"; arch="$${platform#*/}"; binary="$(RELEASE)/vitrine-$$os-$$arch"; \
		GOOS="$$os" GOARCH="$$arch" $(MAKE) --no-print-directory build OUT="$$binary"; \
		$(CYCLONEDX) bin -json -std -noserial -notimestamp -output-version 1.6 -version $(VERSION) -output "$$binary.cdx.json" "$$binary"; \
	done
	cp LICENSE deploy/THIRD_PARTY_NOTICES $(RELEASE)
	cd $(RELEASE) && sha256sum -- * >SHA256SUMS

.PHONY: release-test
release-test: release $(GOVULNCHECK) ## a release is what it says it is; the check for vulnerabilities finds one
	cd .ci/supply && $(GO) vet ./... && RELEASE=$(CURDIR)/$(RELEASE) GOVULNCHECK=$(GOVULNCHECK) $(GO) test -count=1 -shuffle=on ./...

.PHONY: reproducible
reproducible: ## fail unless two folders make the same release, and the same image
	@.ci/reproducible

# The image is given nothing but dist/image, with times of 0: buildah makes one digest of
# it in the OCI format, which knows no HEALTHCHECK; FORMAT=docker keeps that, with a name
# drawn at random.
IMAGE     ?= vitrine:devel
FORMAT    ?= oci
CA_BUNDLE ?= /etc/ssl/certs/ca-certificates.crt

.PHONY: image
image: build ## the container image, tagged IMAGE, with buildah or docker
	@[ -r $(CA_BUNDLE) ] || { echo "no CA certificates at $(CA_BUNDLE): name your system's with CA_BUNDLE=" >&2; exit 1; }
	rm -rf dist/image && mkdir -p dist/image/outbox
	cp dist/vitrine LICENSE deploy/THIRD_PARTY_NOTICES dist/image/ && cp -L $(CA_BUNDLE) dist/image/ca-certificates.crt
	find dist/image -exec touch -h -d @0 {} +
	@if command -v buildah >/dev/null; then set -x; buildah bud -q --isolation chroot --format $(FORMAT) --timestamp 0 -t $(IMAGE) -f deploy/Dockerfile dist/image; \
	elif command -v docker >/dev/null; then set -x; docker build -q -t $(IMAGE) -f deploy/Dockerfile dist/image; \
	else echo "neither buildah nor docker is here: install one of them" >&2; exit 1; fi

.PHONY: deploy-test
deploy-test: ## what is deployed: manifests as strictly as an API server, alerts, dashboard; installs promtool if it is missing
	@.ci/ensure promtool redis-server
	$(GO) test -count=1 ./deploy
	cd deploy/test && $(GO) vet ./... && $(GO) test -count=1 -shuffle=on ./...

.PHONY: rehearsal
rehearsal: ## the rendered manifest's sidecar through the life of a pod, here; needs kubectl
	@.ci/ensure redis-server
	$(GO) run ./deploy/rehearsal

.PHONY: page-test
page-test: ## the status page in Chromium; needs Node.js 20, npm and chromium
	@[ -n "$(CHROMIUM)" ] || .ci/ensure chromium
	cd deploy/test/page && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && CHROMIUM="$${CHROMIUM:-$$(command -v chromium)}" npm test --silent

.PHONY: clean
clean: ## remove what was built
	rm -rf dist bin

# install builds a tool outside our module, so that its dependencies stay out of go.sum.
define install
	@echo "installing $(1)@$(2) (once; golangci-lint takes a few minutes)"
	@mkdir -p $(BIN)
	@GOFLAGS= GOBIN=$(BIN) $(GO) install $(1)@$(2) || { \
		echo "could not install $(1)@$(2) through the Go module proxy ($$($(GO) env GOPROXY))." >&2; \
		echo "Put the tool at $@ by hand, or run the targets that need none: make vet test race" >&2; exit 1; }
	@mv $(BIN)/$(notdir $(1)) $@
endef

# with runs a command that needs the tool, unless that cannot be installed.
define with
	$(MAKE) -s --no-print-directory $(1) && [ -x $(1) ] || { echo "$@: skipped: there is no $(notdir $(1)), and it cannot be installed"; exit 0; }; $(2)
endef

$(LINTER):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,$(GOLANGCI_LINT_VERSION))

$(GOFUMPT):
	$(call install,mvdan.cc/gofumpt,$(GOFUMPT_VERSION))

$(GOVULNCHECK):
	$(call install,golang.org/x/vuln/cmd/govulncheck,$(GOVULNCHECK_VERSION))

$(ACTIONLINT):
	$(call install,github.com/rhysd/actionlint/cmd/actionlint,$(ACTIONLINT_VERSION))

$(CYCLONEDX): .ci/supply/go.mod .ci/supply/go.sum
	cd .ci/supply && CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -o $@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

$(GO_LICENSES): .ci/supply/go.mod .ci/supply/go.sum
	cd .ci/supply && $(GO) build -buildvcs=false -o $@ github.com/google/go-licenses/v2
