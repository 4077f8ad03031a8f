# A thin front of Meson; what it does stands in meson.build and tools/.
#
#       make            build/dispatch, build/dispatch-server and their helpers
#       make demo       install what is missing, build, and run the quickstart on a fresh server
#       make test       everything that CI checks, on this machine
#       make check      the quick part of it: style, layers, unit tests
#       make help       the rest
BUILD ?= build
PREFIX ?= /usr/local
STAGES ?=

.PHONY: all demo demo-stop test check bench fuzz format install clean help

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@tools/install-deps build run
	meson setup $(BUILD) --prefix=$(PREFIX)

demo:
	@tools/demo

demo-stop:
	@tools/demo stop

test:
	@tools/test $(STAGES)

check:
	@tools/test quick $(STAGES)

bench:
	@bench/run $(BENCH)

fuzz:
	@tools/test fuzz

format:
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

install: all
	@meson install -C $(BUILD)

clean:
	rm -rf build build-*

help:
	@printf '%s\n' \
	  'make                 build; CC and BUILD=FOLDER as usual' \
	  'make demo            install what is missing, build, run the quickstart on a fresh server and leave it running' \
	  'make demo-stop       stop that server' \
	  'make test            everything that CI checks; make test STAGES="unit e2e" for some of it' \
	  'make check           the quick part: style, layers, unit tests' \
	  'make bench           figures beside nginx, uWSGI, gunicorn, node, workerd and others, in bench/results/' \
	  'make fuzz            every fuzz target on its corpus and a short run; FUZZ_SECONDS=600 for longer ones' \
	  'make format          clang-format on all sources' \
	  'make install         into PREFIX (/usr/local); DESTDIR as usual' \
	  'make clean           remove build folders' \
	  'tools/test --list    the stages of make test'
