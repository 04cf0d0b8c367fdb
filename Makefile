# TiKV for Swift
# SPDX-License-Identifier: Apache-2.0

# More to hand to the demo: make demo DEMO_FLAGS="--stores 5"
DEMO_FLAGS ?=
# More to hand to dev/bench: make bench BENCH_FLAGS=--quick
BENCH_FLAGS ?=
SKIP ?=
# How often: make faults RUNS=100
RUNS ?= 10
# How many runs of each kind: make chaos CHAOS_SEEDS=5 CHAOS_FLAGS="--transfers 2000"
CHAOS_SEEDS ?= 50
CHAOS_FLAGS ?=
# Seconds: make fuzz TIME=3600
TIME ?= 60

SHELL := bash

.DEFAULT_GOAL := help
.PHONY: help demo test build format lint proto check-proto foreign bench chaos faults fuzz tsan asan soak clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Build (release) and show the client at work on an embedded cluster
	@dev/setup build
	swift build -c release --product tikv-cli
	@"$$(swift build -c release --show-bin-path)/tikv-cli" demo --data demo-data/UnicodeData.txt $(DEMO_FLAGS)

test: ## Run everything that continuous integration runs; SKIP="foreign failpoints" leaves steps out
	@SKIP="$(SKIP)" dev/test

build: ## Build all targets as continuous integration does (debug, warnings are errors)
	@dev/setup build
	@. dev/build-flags && swift build --build-tests "$${build_flags[@]}"

lint: ## Check the format of all hand-written Swift
	@dev/format --check

format: ## Format all hand-written Swift
	@dev/format

proto: ## Regenerate Sources/Proto/Generated from Sources/Proto/schema
	@dev/setup test
	@dev/generate-proto

check-proto: ## Fail when Sources/Proto/Generated is not what the schema gives
	@dev/setup test
	@dev/generate-proto --check

foreign: ## Run the Rust and Python clients against the playground, and the tests of tikv-cli
	@dev/setup test
	@. dev/build-flags && swift build --product tikv-cli "$${build_flags[@]}" && swift build --product transport-peer "$${build_flags[@]}"
	@dev/foreign-tests

bench: ## Measure the transport beside h2load and grpc-swift-2, and raw operations and transactions beside the Rust client
	@dev/setup bench
	swift build -c release --product transport-bench
	swift build -c release --product tikv-cli
	swift build -c release --package-path Benchmarks
	@dev/bench $(BENCH_FLAGS)

faults: ## Run the fault runs RUNS times in a row (10), and sum up what came of them
	@dev/setup build
	@. dev/build-flags && swift build --build-tests "$${build_flags[@]}"
	@dev/faults $(RUNS)

chaos: ## Bank transfers and random histories under faults, CHAOS_SEEDS (50) runs of each (release)
	@dev/setup build
	swift build -c release --product chaos
	@"$$(swift build -c release --show-bin-path)/chaos" --seeds $(CHAOS_SEEDS) $(CHAOS_FLAGS)

fuzz: ## Fuzz the transport for TIME seconds (60)
	@dev/setup build
	@dev/fuzz -max_total_time=$(TIME)

tsan: ## Run the unit tests under the thread sanitizer
	@dev/setup build
	@dev/sanitize thread

asan: ## Run the unit tests under the address sanitizer
	@dev/setup build
	@dev/sanitize address

soak: ## Ten thousand connections and a million calls: nothing may be left behind
	@dev/setup test
	@. dev/build-flags && swift build --product tikv-cli "$${build_flags[@]}" && swift build --product transport-peer "$${build_flags[@]}"
	@TIKV_SOAK=1 dev/foreign-tests -s -k soak

clean: ## Remove everything that was built
	rm -rf .build .build-failpoints .build-fuzz .build-thread .build-address .venv-foreign
