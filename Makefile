# Two commands: `make run` starts the daemon, `make test` installs what the tests
# need and runs them all. `make deb rpm` builds packages, `make install` copies files.

.PHONY: run build test fuzz bench bench-curves bench-scale load chaos chaos-mutants live man completions deb rpm install uninstall lint vulncheck clean

FUZZTIME ?= 5s
DURATION ?= 5m
SEED ?= 0
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Version, commit and time of the build. The version can be given: make deb VERSION=1.2.3.
STAMP := $(shell contrib/packaging/stamp)
VERSION = $(word 1,$(STAMP))
COMMIT = $(word 2,$(STAMP))
TIME = $(word 3,$(STAMP))
# Where the programs are built. For another architecture: make deb GOARCH=arm64.
BIN = bin
# Where the packages go.
DIST = dist
PACKAGE = MAKE='$(MAKE)' DIST='$(DIST)' VERSION='$(VERSION)' SOURCE_DATE_EPOCH=$(TIME) contrib/packaging/build

# Static, and the same bytes in any directory.
CLI = polyclam/cmd/internal/cli
GO_BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w \
	-X $(CLI).version=$(VERSION) -X $(CLI).commit=$(COMMIT) -X $(CLI).date='$$(date -u -d @$(TIME) +%Y-%m-%dT%H:%M:%SZ)

# Where make install puts the files. DESTDIR goes before every path. systemd finds units
# below /usr/local and /usr; for another PREFIX give SYSTEMDDIR=/etc/systemd/system.
# perl -V lists where Perl looks for modules.
PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
SYSTEMDDIR = $(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(PREFIX)/lib/sysusers.d
TMPFILESDIR = $(PREFIX)/lib/tmpfiles.d
MANDIR = $(PREFIX)/share/man
DOCDIR = $(PREFIX)/share/doc/polyclam
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
FISHDIR = $(PREFIX)/share/fish/vendor_completions.d
PERLDIR = $(PREFIX)/share/perl5
DIRS = $(foreach v,BIN DESTDIR BINDIR SYSTEMDDIR SYSUSERSDIR TMPFILESDIR MANDIR DOCDIR BASHDIR ZSHDIR FISHDIR PERLDIR,$(v)='$($(v))')

# Builds the daemon and starts it on its embedded default. It says what it listens
# on and which engines are active.
run: build
	./bin/polyclamd

build:
	$(GO_BUILD) -o $(BIN)/ ./cmd/polyclamd ./cmd/polyclam

# Installs the real programs that the tests drive (as root on Debian; else says
# which suites are skipped) and runs everything.
test:
	./test/install
	./test/run

# Runs every fuzz target for FUZZTIME.
fuzz:
	./test/fuzz $(FUZZTIME)

# Compares polyclamd with clamd asked directly and through HAProxy, and says which goals
# are met. BENCHFLAGS=--help lists what else it measures.
bench:
	./test/install clamd haproxy redis-server strace
	go run ./test/bench $(BENCHFLAGS)

# Measures the growth curves of docs/performance.md and draws them.
bench-curves:
	./test/install clamd haproxy
	go run ./test/bench --only curves $(BENCHFLAGS)
	go run ./test/bench/plot

# Measures the costs of docs/scale.md, checks its model and computes its tables.
bench-scale:
	./test/install clamd redis-server
	go run ./test/bench --only costs --write docs/scale.md $(BENCHFLAGS)
	go run ./test/bench/scale --write docs/scale.md

# Measures slow clients, overload, and engines that hang, crash or reload. CASE is some
# of the parts that LOADFLAGS=--list prints, BIN another build of polyclamd.
load:
	go run ./test/load $(if $(BIN),--polyclamd $(BIN)) $(LOADFLAGS) $(CASE)

# Breaks polyclamd's engines and clients for DURATION and proves that no verdict was
# wrong. SEED repeats a schedule; 0 draws one.
chaos:
	go run ./test/chaos -duration $(DURATION) -seed $(SEED) $(CHAOSFLAGS)

# Proves that chaos notices what it is for, with broken builds of polyclamd.
chaos-mutants:
	CHAOS_MUTANTS=all go test -count=1 -timeout 30m -v -run '^TestMutants$$' ./test/chaos

# Boots systemd and does everything that an administrator does, with every mail filter.
# CASE is a pattern of tests, for example TestMigration/amavis.
live:
	./test/install systemd-nspawn clamd clamdscan postfix mimedefang amavisd rspamd
	POLYCLAM_LIVE=all go test -count=1 -timeout 60m -v -run '$(or $(CASE),.)' ./test/live

# Generates docs/man from the commands and config.toml.example. A test fails if it is stale.
man:
	go test ./cmd/internal/manpage ./cmd/polyclam ./cmd/polyclamd -run '^(TestConfigPage|TestManualPage)$$' -update

# Writes the shell completion scripts to bin/completions.
completions: build
	mkdir -p $(BIN)/completions
	for command in polyclam polyclamd; do for shell in bash zsh fish; do \
		$(abspath $(BIN))/$$command completion $$shell > $(BIN)/completions/$$command.$$shell || exit 1; done; done

# Builds dist/polyclam_VERSION_ARCH.deb and the lists of modules (*.cdx.json, CycloneDX), and
# gets the tools for that.
deb:
	$(PACKAGE) deb

# Builds dist/polyclam_VERSION_ARCH.rpm and the same lists.
rpm:
	$(PACKAGE) rpm

# Installs what was built. It builds only what is missing: root need not have Go.
install: | $(BIN)/polyclamd $(BIN)/completions
	$(DIRS) contrib/packaging/install

# Removes what make install with the same variables installed.
uninstall:
	$(DIRS) contrib/packaging/install --remove

$(BIN)/polyclamd:
	$(MAKE) build

$(BIN)/completions:
	$(MAKE) completions

lint:
	@test -z "$$(gofmt -l .)" || { echo "not gofmt'ed:"; gofmt -l .; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	.ci/deadcode

# Looks for known vulnerabilities. It needs a network: without one it says so and fails, and
# CI does not run it.
vulncheck:
	contrib/vulncheck

clean:
	rm -rf bin dist
