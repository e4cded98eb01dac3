# One target for each thing a person does; `make help` lists them. Set-up is done when needed and only then.
.DEFAULT_GOAL := help
SHELL := bash
NODE_MODULES := node_modules/.package-lock.json
SOURCES := $(shell find emulator devices hypervisor tools -name '*.ts' 2>/dev/null)
JEST := NODE_OPTIONS=--experimental-vm-modules node_modules/.bin/jest
# What runs is bundled: loading a file for each module took most of a process's start. The string-width that yargs brings loads tables of
# emoji at each start; the older one does not. The command line is a script that tools/launch runs with compiled code; programs of
# developers are modules, with what several of them need in build/js/chunks.
BUNDLE := node_modules/.bin/esbuild --bundle --platform=node --target=node20 --log-level=warning --outbase=. --outdir=build/js.next \
	--sourcemap --sources-content=false --alias:string-width=./node_modules/string-width
SCRIPT := --format=cjs --out-extension:.js=.cjs --define:import.meta.url=bundleUrl \
	--banner:js='(function(require,module,bundleUrl){' --footer:js='})'
MODULES := --splitting --format=esm --chunk-names=chunks/[name]-[hash] \
	--banner:js='import{createRequire as requireOf}from"node:module";const require=requireOf(import.meta.url);'
PROGRAMS := tools/bench/bench.ts tools/fidelity/fidelity.ts tools/soak/soak.ts tools/soak/crash-soak.ts
LAUNCH := tools/launch/start.ts tools/launch/run-bundle.ts tools/launch/keep-code.ts
# What compiles or checks much; the output of each command in one piece.
PARALLEL := -j$(shell nproc) --output-sync
QUIET := >build/make.log 2>&1 || { cat build/make.log >&2; exit 1; }

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: build ## set everything up and run the main job: a pair, a client, a kill -9, a take-over
	@./ft86 demo

# Tests with operating systems from Debian's packages, of pairs whose networks and hosts fail, and comparisons with QEMU: minutes each.
GUEST_TESTS := test/(e2e/(linux|guests|ipxe|passt|tap-curl|qemu-network|demo-http|host-services|bad-guests|partitions|channel-breaks|pair-arbiters|hand-over|deploy|spare-pool)|images/qemu-oracle|tools/(fidelity|soak/soak))

# Tests of one process each on all processors, those of several processes one after the other.
test: build ## set everything up and run the tests (under 10 minutes)
	@$(MAKE) -s --no-print-directory $(PARALLEL) -C emulator/native check
ifeq ($(ARGS),)
	@$(JEST) --maxWorkers=100% --testPathIgnorePatterns '$(GUEST_TESTS)' '/test/e2e/'
	@$(JEST) --maxWorkers=1 --testPathIgnorePatterns '$(GUEST_TESTS)' -- '/test/e2e/'
else
	@$(JEST) $(ARGS) --testPathIgnorePatterns '$(GUEST_TESTS)'
endif

test-guests: build guests ## the slow tests: sanitizers, Debian's guests, failing networks and hosts, QEMU (after make extras)
	@$(MAKE) -s --no-print-directory $(PARALLEL) -C emulator/native asan
	@$(JEST) '$(GUEST_TESTS)'

build: build/js/.done images native ## engine, native core, guests, TypeScript

native: check-tools $(NODE_MODULES) ## the native core, with the engine's library fetched once, and the addons for disks, logs, TAP and datagrams
	@$(MAKE) -s --no-print-directory $(PARALLEL) -C emulator/native
	@$(MAKE) -s --no-print-directory -C hypervisor/backend/native
	@$(MAKE) -s --no-print-directory -C hypervisor/log/native
	@$(MAKE) -s --no-print-directory -C tools/switch/native
	@$(MAKE) -s --no-print-directory -C tools/udp/native

images: check-tools ## the shipped guests, into build/images
	@$(MAKE) -s --no-print-directory -C images

guests: check-tools ## optional guests from Debian's packages, unmodified: Linux, GRUB (after make extras)
	@$(MAKE) -s --no-print-directory -C images linux linux-pae grub

bench: build ## speed and memory, as ratios from one interleaved run
	@$(MAKE) -s --no-print-directory -C emulator/native bench
	@node build/js/tools/bench/bench.js $(ARGS)

SEED ?= 1
N ?= 100000
fidelity: build ## the processor against QEMU's: SEED=1 N=1000000 (after make extras)
	@node build/js/tools/fidelity/fidelity.js --seed $(SEED) --count $(N) $(ARGS)

MINUTES ?= 30
CRASHES ?= 200
soak: build ## parts die again and again under load: MINUTES=30 SEED=1 CRASHES=200
	@node build/js/tools/soak/crash-soak.js --kills $(CRASHES) --seed $(SEED)
	@node build/js/tools/soak/soak.js --minutes $(MINUTES) --seed $(SEED) $(ARGS)

lint: $(NODE_MODULES) ## types, style, import directions, unused code
	@node_modules/.bin/tsc --noEmit -p .
	@node_modules/.bin/eslint --cache --cache-location build/.eslintcache --max-warnings 0 .
	@node_modules/.bin/prettier --cache --cache-location build/.prettiercache --check --log-level warn .
	@node_modules/.bin/depcruise --config .dependency-cruiser.cjs --output-type err emulator devices hypervisor tools test
	@node_modules/.bin/knip

EXTRAS := qemu-system-x86 seabios bochsbios u-boot-qemu ipxe-qemu memtest86+ grub-pc-bin grub-common e2fsprogs xz-utils libnbd-bin qemu-utils \
	tcpdump curl passt nbdkit nbd-server etcd-server iproute2 iputils-ping systemd

extras: ## optional real components for tests, with apt (root): QEMU, SeaBIOS, Bochs' BIOS, U-Boot, iPXE, memtest86+, GRUB, NBD clients
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(EXTRAS) >/dev/null

clean: ## remove everything that was built; the fetched engine and npm packages stay
	rm -rf build/js build/images build/native build/make.log build/tsconfig.tsbuildinfo

check-tools:
	@sh tools/setup/check-tools.sh

$(NODE_MODULES): package.json package-lock.json | check-tools
	@echo "installing npm packages" >&2
	@mkdir -p build
	@npm install --no-save --ignore-scripts --no-audit --no-fund $(QUIET)
	@ln -sfn ../../ft86 node_modules/.bin/ft86
	@touch $@

build/js/.done: $(NODE_MODULES) $(SOURCES) tsconfig.json tsconfig.build.json
	@echo "compiling TypeScript" >&2
	@node_modules/.bin/tsc -p tsconfig.build.json
	@rm -rf build/js.next
	@$(BUNDLE) $(SCRIPT) tools/cli.ts
	@$(BUNDLE) $(MODULES) $(PROGRAMS)
	@$(BUNDLE) --format=cjs --out-extension:.js=.cjs $(LAUNCH)
	@node build/js.next/tools/launch/keep-code.cjs build/js.next/tools/cli.cjs
	@touch build/js.next/.done
	@rm -rf build/js && mv build/js.next build/js

.PHONY: help run test test-guests build native images guests bench fidelity soak lint extras clean check-tools
