# The two commands: `make demo` and `make test`. Both install what is missing on a fresh Debian machine.

CARGO_FLAGS = --release --locked
VENV        = target/venv
VENV_ALIGN  = target/venv-align
# llama.cpp's threads spin while they wait for each other; where tests share the cores that is slow.
export GOMP_SPINCOUNT ?= 1000

.PHONY: demo test setup venv venv-align build lint deny model offline bundle fuzz clean

demo: setup build
	./target/release/locket demo

test: setup venv venv-align build lint deny model offline
	LOCKET_PYTHON=$(CURDIR)/$(VENV)/bin/python3 LOCKET_ALIGN_PYTHON=$(CURDIR)/$(VENV_ALIGN)/bin/python3 \
		cargo test $(CARGO_FLAGS) --workspace

# Compilers, strace and WordNet. Says what it installs; does nothing where everything is there.
setup:
	@./tests/setup.sh

build:
	cargo build $(CARGO_FLAGS) --workspace

lint:
	cargo fmt --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) -p locket --no-deps

# Licences, sources and banned crates. (The advisory list lives on a code host; run `cargo deny check` where that
# can be reached.)
deny:
	@command -v cargo-deny >/dev/null || cargo install --locked --debug cargo-deny
	cargo deny check licenses bans sources

# The engine as an app embeds it, for the proof that it has no network; and what it may depend on.
offline:
	cargo build $(CARGO_FLAGS) -p locket --no-default-features --example offline
	cp target/release/examples/offline target/offline
	cargo tree --locked -p locket --no-default-features -e normal --target x86_64-unknown-linux-gnu --prefix none --format '{p}' \
		| cut -d' ' -f1 | LC_ALL=C sort -u | diff tests/dependencies.txt -

# What is shipped for Linux, with kernels for every kind of processor, and a check that each gets its own. Compiles llama.cpp
# once more, with all of them: about 20 minutes; not part of the tests.
bundle:
	tests/variants.sh

# Ten million inputs for every parser. Takes about an hour; not part of the tests.
fuzz:
	command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	fuzz/run.sh

# The packages that our metrics are compared with.
venv: $(VENV)/.ready
$(VENV)/.ready: tests/metrics/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/python3 -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# The trainer's packages (PyTorch brings 5 GB).
venv-align: $(VENV_ALIGN)/.ready
$(VENV_ALIGN)/.ready: models/align/requirements.txt
	python3 -m venv $(VENV_ALIGN)
	$(VENV_ALIGN)/bin/python3 -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

model: build
	@./target/release/locket model pull gemma-3-270m >/dev/null || echo "the model cannot be had here; its tests are skipped"

clean:
	cargo clean
