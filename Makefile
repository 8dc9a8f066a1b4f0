# The two commands: `make demo` and `make test`. Both install what is missing on a fresh Debian machine.

CARGO_FLAGS = --locked
# Runs tests, counts them, and lists the ignored ones.
RUN         = python3 tests/run.py
VENV        = target/venv
VENV_ALIGN  = target/venv-align
VENV_SDK    = target/venv-sdk
VENV_SPARK  = target/venv-spark
SDK         = $(CURDIR)/target/sdk
# The pages for app developers. Their Kotlin and Swift is compiled or checked, their Python runs.
GUIDES      = $(addprefix docs/src/guides/,chat-app.md mail-app.md notes-app.md)
# JNA's name for this platform, under which it looks in a jar.
JNA         = linux-$(subst _,-,$(shell uname -m))

.PHONY: demo test prepare test-rust examples setup venv venv-align venv-sdk build lint deny model offline sdk-kotlin sdk-python sdk-python-here sdk-swift sdk-pack test-sdk docs docs-sdk \
	bench-sdk venv-spark test-spark bench-scale bundle fuzz clean

demo: setup build
	./target/debug/locket demo

test: prepare lint deny model offline test-rust examples test-sdk test-spark
	@$(RUN) summary

# What is fetched arrives while the processor compiles.
prepare: setup
	$(MAKE) -j5 venv venv-align venv-sdk venv-spark build

# With LOCKET_REQUIRE=1 every test runs; else those whose model, data or tool is missing are ignored and listed.
test-rust:
	LOCKET_PYTHON=$(CURDIR)/$(VENV)/bin/python3 LOCKET_ALIGN_PYTHON=$(CURDIR)/$(VENV_ALIGN)/bin/python3 $(RUN) cargo

# The example of the crate, on the real model.
examples: model
	cargo build $(CARGO_FLAGS) --workspace --example first_text
	[ ! -f "$$LOCKET_TEST_MODEL" ] || target/debug/examples/first_text "$$LOCKET_TEST_MODEL"

# Locket for Kotlin on a JVM, in the local Maven repository.
sdk-kotlin: setup build
	bindings/generate.sh target/debug/liblocket_ffi.so kotlin $(SDK)/kotlin/generated
	mkdir -p $(SDK)/kotlin/native/$(JNA)
	strip --strip-unneeded -o $(SDK)/kotlin/native/$(JNA)/liblocket_ffi.so target/debug/liblocket_ffi.so
	python3 tests/sdk/follow.py --files kt $(SDK)/kotlin/guides $(GUIDES)
	mvn -q -B -f android/jvm/pom.xml install -DskipTests

# The Python wheel, in target/python/dist.
sdk-python: setup build venv-sdk
	bindings/python/build.sh target/debug/liblocket_ffi.so $(VENV_SDK)/bin/python3

# The wheel, where the tests of it run.
sdk-python-here: sdk-python
	$(VENV_SDK)/bin/python3 -m pip install --quiet --disable-pip-version-check --force-reinstall --no-index target/python/dist/*.whl

# What the Swift package is made of; the framework itself needs a Mac.
sdk-swift: build venv-sdk
	bindings/generate.sh target/debug/liblocket_ffi.so swift $(SDK)/swift
	python3 tests/sdk/follow.py --files swift $(SDK)/swift/guides $(GUIDES)
	$(VENV_SDK)/bin/python3 tests/sdk/check_swift.py $(SDK)/swift/LocketCore.swift \
		$$(find ios $(SDK)/swift/guides -name '*.swift' -not -name LocketCore.swift -not -name Package.swift)

# The sample's pack, an older one, and the signed delta that leads from it to the sample's.
sdk-pack: build
	mkdir -p $(SDK)
	target/debug/locket pack build --profiles tests/sample/sample.jsonl --out $(SDK)/sample.pack
	head -n 28 tests/sample/sample.jsonl >$(SDK)/older.jsonl
	target/debug/locket pack build --profiles $(SDK)/older.jsonl --out $(SDK)/older.pack
	target/debug/locket pack keys --signing-key $(SDK)/release.key >$(SDK)/release.public
	target/debug/locket pack diff $(SDK)/older.pack $(SDK)/sample.pack --signing-key $(SDK)/release.key --out $(SDK)/update.delta

export LOCKET_TEST_PACK    = $(SDK)/sample.pack
export LOCKET_TEST_ADAPTER = $(CURDIR)/models/gemma-3-270m-review.gguf
export LOCKET_TEST_MODEL   = $(or $(LOCKET_MODELS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/locket/models)/gemma-3-270m-q4_k_m.gguf

# The SDKs through the real library and the real model, the guides word by word, and the scripts that need what is not here.
test-sdk: sdk-kotlin sdk-python-here sdk-swift sdk-pack model
	$(RUN) maven Kotlin mvn -q -B -f android/jvm/pom.xml test
	$(RUN) unittest Python $(VENV_SDK)/bin/python3 -m unittest discover -v -s tests/sdk -p 'test_*.py'
	$(VENV_SDK)/bin/python3 -m mypy --strict bindings/python/examples
	$(RUN) guides Guides $(VENV_SDK)/bin/python3 tests/sdk/follow.py docs/src/quickstart/python.md docs/src/quickstart/android.md $(GUIDES)
	tests/sdk/scripts.sh

# The Spark job beside the builder of this machine. With LOCKET_SPARK_LARGE=1 on real data too, which takes half an hour.
test-spark: build venv-spark
	$(RUN) unittest Spark $(VENV_SPARK)/bin/python3 tools/spark/tests/test_spark.py -v

# Time and memory of both pack builders at 10^5, 10^6 and 10^7 interactions: about an hour. Draws docs/src/images/scale.svg.
bench-scale: build venv-spark
	$(VENV_SPARK)/bin/python3 -m pip install --quiet --disable-pip-version-check -r tools/spark/requirements-bench.txt
	$(VENV_SPARK)/bin/python3 tools/spark/tests/scale.py --plot docs/src/images/scale.svg

# The API references of Kotlin, Python and Rust, in target/docs-sdk and target/doc.
docs-sdk: sdk-kotlin sdk-python-here
	mvn -q -B -f android/jvm/pom.xml compile dokka:dokka
	mkdir -p target/docs-sdk/python
	cd target/docs-sdk/python && $(CURDIR)/$(VENV_SDK)/bin/python3 -m pydoc -w locket >/dev/null
	cargo doc $(CARGO_FLAGS) --workspace --lib --no-deps

# The book, in target/book.
docs:
	@command -v mdbook >/dev/null || cargo install --locked mdbook
	mdbook build docs

# What a streamed token costs in Kotlin and in Python.
bench-sdk: sdk-kotlin sdk-python-here sdk-pack
	mvn -q -B -f android/jvm/pom.xml test-compile exec:java
	$(VENV_SDK)/bin/python3 tests/bench/overhead.py

# Compilers, strace, setpriv and WordNet. Says what it installs; does nothing where everything is there.
setup:
	@./tests/setup.sh

build:
	cargo build $(CARGO_FLAGS) --workspace

lint:
	cargo fmt --check
	python3 tests/structure.py
	python3 tests/structure.py --public | diff tests/public.txt -
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --workspace --lib --no-deps

# Licences, sources and banned crates. (The advisory list lives on a code host; run `cargo deny check` where that
# can be reached.)
deny:
	@command -v cargo-deny >/dev/null || cargo install --locked --debug cargo-deny
	cargo deny check licenses bans sources

# The engine as an app embeds it, for the proof that it has no network; and what it may depend on.
offline:
	cargo build $(CARGO_FLAGS) --workspace --example offline
	cp target/debug/examples/offline target/offline
	cargo tree --locked -p locket -e normal --target x86_64-unknown-linux-gnu --prefix none --format '{p}' \
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

# What builds and checks the SDKs.
venv-sdk: $(VENV_SDK)/.ready
$(VENV_SDK)/.ready: tests/sdk/requirements.txt
	python3 -m venv $(VENV_SDK)
	$(VENV_SDK)/bin/python3 -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# Apache Spark.
venv-spark: $(VENV_SPARK)/.ready
$(VENV_SPARK)/.ready: tools/spark/requirements.txt
	python3 -m venv $(VENV_SPARK)
	$(VENV_SPARK)/bin/python3 -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

model: build
	@for name in gemma-3-270m smollm2-135m; do ./target/debug/locket model pull $$name >/dev/null || \
		{ echo "the model $$name cannot be had here; its tests are ignored"; [ -z "$$LOCKET_REQUIRE" ]; } || exit 1; done

clean:
	cargo clean
