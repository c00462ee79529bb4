# Two commands: `make run` starts the daemon, `make test` installs what the tests
# need and runs them all.

.PHONY: run build test fuzz bench load chaos chaos-mutants man completions lint clean

FUZZTIME ?= 5s
DURATION ?= 5m
SEED ?= 0
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Builds the daemon and starts it on its embedded default. It says what it listens
# on and which engines are active.
run: build
	./bin/polyclamd

build:
	go build -o bin/ ./cmd/polyclamd ./cmd/polyclam

# Installs the real programs that the tests drive (as root on Debian; else says
# which suites are skipped) and runs everything.
test:
	./test/install
	./test/run

# Runs every fuzz target for FUZZTIME.
fuzz:
	./test/fuzz $(FUZZTIME)

# Compares polyclamd with clamd asked directly and through HAProxy.
bench:
	./test/install haproxy
	go run ./test/bench $(BENCHFLAGS)

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

# Generates docs/man from the commands and config.toml.example. A test fails if it is stale.
man:
	go test ./cmd/internal/manpage ./cmd/polyclam ./cmd/polyclamd -run '^(TestConfigPage|TestManualPage)$$' -update

# Writes the shell completion scripts to bin/completions.
completions: build
	mkdir -p bin/completions
	for command in polyclam polyclamd; do for shell in bash zsh fish; do \
		./bin/$$command completion $$shell > bin/completions/$$command.$$shell || exit 1; done; done

lint:
	@test -z "$$(gofmt -l .)" || { echo "not gofmt'ed:"; gofmt -l .; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	.ci/deadcode

clean:
	rm -rf bin
