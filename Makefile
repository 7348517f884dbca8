# Everyday commands; the work is done by CMake presets and the scripts in tools/ and tests/.
# `make help` lists the targets. Variables: JOBS, PREFIX, DESTDIR, PROMPT, FUZZ_SECONDS.

JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
PROMPT ?= Explain in two sentences why the sky is blue.
FUZZ_SECONDS ?= 60
MODEL := smollm2
PACKAGES := tools/install-packages.sh

.DEFAULT_GOAL := all
.PHONY: all demo test nightly sanitize bench peers fuzz lint format install docs packages clean help

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

all: build/build.ninja ## build/tars, build/libtars.so and build/libtars.a (preset release)
	@cmake --build build --parallel $(JOBS) --target programs

build/build.ninja:
	@command -v cmake >/dev/null && command -v ninja >/dev/null || \
		{ echo "make: cmake or ninja is missing; 'make packages' installs what the build needs" >&2; exit 1; }
	@tools/fetch_wasmtime.py >/dev/null || echo "make: the runtime wasm is left out" >&2
	@mkdir -p build && cmake --preset release >build/configure.log 2>&1 || \
		{ cat build/configure.log >&2; rm -f build/build.ninja; exit 1; }

demo: ## packages, build, model, one answer in the terminal
	@$(PACKAGES) build wasm
	@$(MAKE) --no-print-directory all
	@build/tars inspect $(MODEL) >/dev/null 2>&1 || build/tars pull $(MODEL)
	@build/tars run $(MODEL) "$(PROMPT)" --logits-hash

test: ## packages, build, every test
	@$(PACKAGES) build wasm test programs cross
	@$(MAKE) --no-print-directory all
	@cmake --build build --parallel $(JOBS) --target tests
	@tools/wasi_programs.py >/dev/null || echo "make: the tests of other people's WASI programs are left out" >&2
	@for library in glibc musl; do tools/linux_programs.py $$library >/dev/null || \
		echo "make: the tests of other people's $$library programs are left out" >&2; done
	@tests/run --build build --jobs $(JOBS)

sanitize: ## the test programs under address and undefined-behaviour sanitizers
	@$(PACKAGES) build
	@cmake --preset asan >/dev/null
	@cmake --build build/asan --parallel $(JOBS) --target tests
	@TARS_TEST_MODELS=build/asan/none tests/run --build build/asan --jobs $(JOBS) --programs-only --timeout 400

bench: all ## this machine's limits, then tars bench llm
	@cmake --build build --parallel $(JOBS) --target benches
	@build/bench/roofline
	@build/tars bench llm --model $(MODEL)

peers: all ## tars and llama.cpp, interleaved in one run (builds the peer once: minutes)
	@$(PACKAGES) build peers
	@cmake --build build --parallel $(JOBS) --target benches
	@python3 bench/peers/llama_cpp.py

nightly: all ## the tests of micro-VMs on emulated hardware (minutes; a kernel from apt)
	@$(PACKAGES) nightly || echo "make: what is missing is named by the skip that follows" >&2
	@cmake --build build --parallel $(JOBS) --target tests
	@tests/nightly/kvm_hardware.py --build build

fuzz: ## each fuzz target for FUZZ_SECONDS
	@$(PACKAGES) build fuzz
	@tools/fuzz.sh $(FUZZ_SECONDS)

lint: ## formatting, clang-tidy, shell scripts, layers and style
	@$(PACKAGES) build lint
	@tools/lint.sh

format: ## clang-format over all C files
	@$(PACKAGES) lint
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format-19 -i

install: all ## headers, libraries, tars.pc, program, manual page below DESTDIR/PREFIX
	@cmake --install build --prefix $(PREFIX)

docs: all ## manual page into build/docs; checks links and the threat model
	@tools/docs.sh

packages: ## Debian or Ubuntu packages that the build and the tests need
	@$(PACKAGES) build wasm test cross

clean: ## remove build/
	@rm -rf build
