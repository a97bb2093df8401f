# Rookery: one Makefile, no recursion.
#
#   make             the programs and manual pages, under build/
#   make run         the whole system, against the simulator until .env names a bot
#   make test        every test, under ASan and UBSan    (ONLY=part-of-a-name)
#   make soak        twenty minutes, and what grows meanwhile (MINUTES=20)
#   make backlog     events that no worker takes, then workers (EVENTS=60000)
#   make scale       10,000 replies at once, 200 MiB, 100 bots
#   make bench       what it costs, as ratios to a floor (BENCH_ARGS=--quick)
#   make fuzz        mutated input for each parser of outside bytes (SECONDS=60)
#   make chaos       kills, hangs and faults at once, by a seed (SECONDS=600 SEED=n)
#   make lint        two compilers, manual pages, scripts, house rules
#   make install     to $(DESTDIR)$(PREFIX), /usr/local by default; make uninstall
#   make clean       remove build/
#
# run, test, bench and lint install the Debian packages they lack (as root, or
# by sudo without a password); the others only say which.
# CC=clang or other CFLAGS make another build; V=1 shows the commands; CI=1
# makes warnings errors.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PRECIOUS: build/obj/%.o build/asan/obj/%.o
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

ifeq ($(origin CC),default)
CC := gcc
endif
export CC
PREFIX     ?= /usr/local
PKG_CONFIG ?= pkg-config
Q          := $(if $(V),,@)
say         = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

# What each program is made of: its folder, common/, and its libraries.
PROGRAMS := rookery rookeryd gatewayd apid workerd qqsim
DIR_rookery  := cli
DIR_rookeryd := supervisor
LIBS_common   = libzmq json-c sqlite3 $(MSGPACK)
LIBS_rookery  = $(LIBS_common) libcrypto
LIBS_rookeryd = $(LIBS_common)
LIBS_gatewayd = $(LIBS_common) libwebsockets libssl libcrypto
LIBS_apid     = $(LIBS_common) libcurl libcrypto
LIBS_workerd  = $(LIBS_common)
LIBS_qqsim    = $(LIBS_common) libwebsockets libcurl libcrypto libssl
ALL_LIBS      = $(LIBS_common) libwebsockets libcurl libcrypto libssl

CFLAGS ?= -O2 -g
WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
          -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wvla
ifneq ($(CI)$(WERROR),)
WARN   += -Werror
endif
FORTIFY  := $(if $(filter -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
HARDEN   := -fPIE -fstack-protector-strong $(FORTIFY)
LINK     := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
SANITIZE := -fPIE -fsanitize=address,undefined -fno-sanitize-recover=undefined \
            -fno-omit-frame-pointer
LANGUAGE := -std=gnu11 -D_GNU_SOURCE -Icommon -Iinclude

COMPILE      = $(CC) $(LANGUAGE) -MMD -MP $(WARN) $(HARDEN) $(CPPFLAGS) \
               $(LIB_CFLAGS) $(CFLAGS)
COMPILE_ASAN = $(CC) $(LANGUAGE) -MMD -MP $(WARN) $(SANITIZE) $(CPPFLAGS) \
               $(LIB_CFLAGS) $(CFLAGS)

# --- what must be there ------------------------------------------------------
# build/config.mk holds what pkg-config says.  Make reads it first, makes it
# when it is missing (installing what it needs), and then starts over.

GOALS  := $(or $(MAKECMDGOALS),all)
DEPS   := scripts/deps $(if $(filter run test bench lint,$(GOALS)),,--check)
$(shell mkdir -p build)

ifneq ($(filter-out clean help uninstall,$(GOALS)),)
include build/config.mk
include build/tests.mk
endif

# Another compiler is another thing that must be there.
on_change = $(if $(filter-out x$(strip $(2)),x$(strip $(file <$(1)))),$(file >$(1),$(strip $(2))))
$(call on_change,build/compiler,$(CC))
build/compiler:

build/config.mk: Makefile scripts/deps build/compiler
	@$(DEPS) build
	@{ m=msgpack; $(PKG_CONFIG) --exists msgpack-c && m=msgpack-c; \
	   echo "MSGPACK := $$m"; \
	   for l in $(filter-out $(MSGPACK),$(ALL_LIBS)) $$m; do \
	       echo "CFLAGS_$$l := $$($(PKG_CONFIG) --cflags $$l)"; \
	       echo "LDLIBS_$$l := $$($(PKG_CONFIG) --libs $$l)"; \
	   done; } > $@.new
	@mv $@.new $@

LIB_CFLAGS = $(sort $(foreach l,$(ALL_LIBS),$(CFLAGS_$(l))))
ldlibs     = $(foreach l,$(1),$(LDLIBS_$(l)))

build/deps-%: scripts/deps
	@$(DEPS) $*
	@touch $@

# A build of another compiler or of other flags is another build; another set
# of source files is another link.
FLAVOUR  := $(subst $(empty) ,;,$(CC) $(WARN) $(HARDEN) $(LINK) $(SANITIZE) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS))
$(call on_change,build/flavour,$(FLAVOUR))
SOURCES  := $(subst $(empty) ,;,$(wildcard */*.c))
$(call on_change,build/sources,$(SOURCES))
build/flavour build/sources:

# --- programs ---------------------------------------------------------------

srcs_of = $(wildcard $(or $(DIR_$(1)),$(1))/*.c)

.PHONY: all
all: $(PROGRAMS:%=build/%) pages

define program
build/$(1): $$(patsubst %.c,build/obj/%.o,$$(call srcs_of,$(1))) \
    build/common.a build/sources
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(CFLAGS) $$(LINK) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) \
	    build/common.a $$(call ldlibs,$$(LIBS_$(1)))
build/asan/$(1): $$(patsubst %.c,build/asan/obj/%.o,$$(call srcs_of,$(1))) \
    build/asan/common.a build/sources
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(CFLAGS) $$(SANITIZE) $$(LINK) $$(LDFLAGS) -o $$@ \
	    $$(filter %.o,$$^) build/asan/common.a $$(call ldlibs,$$(LIBS_$(1)))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

build/common.a: $(patsubst %.c,build/obj/%.o,$(wildcard common/*.c)) build/sources
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rc $@ $(filter %.o,$^)
build/asan/common.a: $(patsubst %.c,build/asan/obj/%.o,$(wildcard common/*.c)) build/sources
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rc $@ $(filter %.o,$^)

# What tests of media drive: apid without its main.
MEDIA_CLIENT = $(filter-out apid/main.c,$(call srcs_of,apid)) tests/media/client.c
build/media-client: $(patsubst %.c,build/obj/%.o,$(MEDIA_CLIENT)) build/common.a build/sources
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $(filter %.o,$^) \
	    build/common.a $(call ldlibs,$(LIBS_apid))
build/asan/media-client: $(patsubst %.c,build/asan/obj/%.o,$(MEDIA_CLIENT)) \
    build/asan/common.a build/sources
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LINK) $(LDFLAGS) -o $@ \
	    $(filter %.o,$^) build/asan/common.a $(call ldlibs,$(LIBS_apid))

build/obj/%.o: %.c build/flavour
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(COMPILE) -c -o $@ $<
build/asan/obj/%.o: %.c build/flavour
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(COMPILE_ASAN) -c -o $@ $<

-include $(wildcard build/obj/*/*.d build/obj/*/*/*.d build/obj/*/*/*.d build/asan/obj/*/*.d build/asan/obj/*/*/*.d build/test/obj/*.d build/fuzz/obj/*.d build/lint/*/*/*.d build/lint/*/*/*/*.d)

# The chat page is compiled in with .incbin, which -MMD does not see.
build/obj/qqsim/www.o build/asan/obj/qqsim/www.o: $(wildcard qqsim/www/*)

.PHONY: run
run: all
	@exec build/rookery up

# --- manual pages: lines of @name@ are printed from the tables -----------------

PAGES := $(wildcard */*.[158] */*.[158].in docs/man/*.[1578] docs/man/*.[1578].in)

.PHONY: pages
pages: $(addprefix build/man/,$(notdir $(PAGES:.in=)))

build/tables: build/obj/scripts/tables.o build/common.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(call ldlibs,$(LIBS_common))

define page
build/man/$(notdir $(1:.in=)): $(1) build/tables
	@mkdir -p $$(@D)
	$$(Q)build/tables page < $$< > $$@
endef
$(foreach p,$(PAGES),$(eval $(call page,$(p))))
build/man/rookery-messages.7: examples/worker.py

# --- fuzz ---------------------------------------------------------------------
# make fuzz SECONDS=60: mutations of the samples, under the sanitizers, so long
# for each entry.

FUZZ := $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c)))

build/fuzz/obj/%.o: tests/fuzz/%.c build/flavour
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(COMPILE_ASAN) $(addprefix -I,$(sort $(dir $(filter %.c,$(LINKS_$*))))) -c -o $@ $<

define fuzz
build/fuzz/$(1): build/fuzz/obj/$(1).o build/fuzz/obj/driver.o \
    $$(patsubst %.c,build/asan/obj/%.o,$$(filter %.c,$$(LINKS_$(1)))) \
    build/asan/common.a
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(CFLAGS) $$(SANITIZE) $$(LINK) $$(LDFLAGS) -o $$@ \
	    $$(filter %.o,$$^) $$(filter %.a,$$^) \
	    $$(call ldlibs,$$(LIBS_test_$(1)) $$(LIBS_common))
endef
$(foreach f,$(FUZZ),$(eval $(call fuzz,$(f))))

.PHONY: fuzz build-fuzz
build-fuzz: build/deps-test $(FUZZ:%=build/fuzz/%)
fuzz: SECONDS ?= 60
fuzz: build/deps-test $(FUZZ:%=build/fuzz/%)
	@tests/fuzz/run.py $(SECONDS)

# --- tests ------------------------------------------------------------------
# build/tests.mk: what each unit test links, from its first two lines.

UNITS  := $(basename $(notdir $(wildcard tests/unit/*.c)))
SUITES := $(filter-out bench,$(patsubst tests/%/run.py,%,$(wildcard tests/*/run.py)))
only    = $(if $(ONLY),$(foreach t,$(1),$(if $(findstring $(ONLY),$(t)),$(t))),$(1))

build/tests.mk: Makefile scripts/test-links $(wildcard tests/unit/*.c tests/fuzz/fuzz_*.c)
	@scripts/test-links tests/unit/*.c tests/fuzz/fuzz_*.c > $@.new && mv $@.new $@

define unit
build/test/$(1): build/test/obj/$(1).o \
    $$(patsubst %.c,build/asan/obj/%.o,$$(filter %.c,$$(LINKS_$(1)))) \
    $$(if $$(filter common,$$(LINKS_$(1))),build/asan/common.a)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(CFLAGS) $$(SANITIZE) $$(LINK) $$(LDFLAGS) -o $$@ \
	    $$(filter %.o,$$^) $$(filter %.a,$$^) \
	    $$(call ldlibs,$$(LIBS_test_$(1)) $$(LIBS_common))
endef
$(foreach t,$(UNITS),$(eval $(call unit,$(t))))

build/test/obj/%.o: tests/unit/%.c build/flavour
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(COMPILE_ASAN) -I. -Itests $(addprefix -I,$(sort $(dir $(filter %.c,$(LINKS_$*))))) -c -o $@ $<

.PHONY: test
test: build/deps-test $(addprefix build/test/,$(call only,$(UNITS))) \
    $(if $(call only,$(SUITES)),$(PROGRAMS:%=build/asan/%) all \
    build/chaos/clock.so build/chaos/plugin.so build/media-client build/asan/media-client) \
    $(if $(call only,fuzz),$(FUZZ:%=build/fuzz/%))
	@scripts/test $(addprefix build/test/,$(call only,$(UNITS))) \
	    $(patsubst %,tests/%/run.py,$(call only,$(SUITES)))

# --- chaos --------------------------------------------------------------------
# make chaos SECONDS=600 SEED=n KINDS=worker,api RATE=200 FROM=build/asan

build/chaos/%.so: build/obj/tests/chaos/%.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -shared -o $@ $<
build/obj/tests/chaos/%.o: tests/chaos/%.c build/flavour
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(COMPILE) -fPIC -c -o $@ $<

.PHONY: chaos
chaos: SECONDS ?= 600
chaos: build/deps-test all build/chaos/clock.so build/chaos/plugin.so
	@tests/chaos/run.py --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) \
	    $(if $(KINDS),--kinds $(KINDS)) $(if $(RATE),--rate $(RATE)) \
	    $(if $(HANDLER),--handler $(HANDLER)) $(if $(TLS),--tls $(TLS)) \
	    $(if $(FROM),--programs $(FROM))

# make soak MINUTES=20: what grows?  make backlog EVENTS=60000: a pool that is
# down, and gatewayd's memory; ARGS=--kill, or --rate 100 for ten minutes.

MINUTES ?= 20
EVENTS  ?= 60000

.PHONY: soak backlog
soak: build/deps-test all
	@tests/soak/soak.py --minutes $(MINUTES)
backlog: build/deps-test all
	@tests/soak/backlog.py --events $(EVENTS) $(ARGS)

# make scale: what tests/scale does in short, in the promised sizes.

.PHONY: scale
scale: build/deps-test all
	@tests/scale/run.py --long

# --- bench --------------------------------------------------------------------

BENCH := $(patsubst tests/bench/%.c,build/bench/%,$(wildcard tests/bench/*.c))

build/bench/%: build/obj/tests/bench/%.o build/common.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(call ldlibs,$(ALL_LIBS))

build/bench/echo.so: examples/echo.c include/rookery.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=c99 -O2 -fPIC -shared -fvisibility=hidden -Iinclude -o $@ $<

.PHONY: bench
bench: build/deps-bench all $(BENCH) build/bench/echo.so
	@tests/bench/run.py $(BENCH_ARGS)

# --- lint ---------------------------------------------------------------------

LINTED  := $(wildcard common/*.c supervisor/*.c gatewayd/*.c workerd/*.c \
           apid/*.c cli/*.c qqsim/*.c scripts/*.c tests/unit/*.c tests/bench/*.c \
           tests/chaos/*.c examples/*.c)
LINT_CC  = $(LANGUAGE) -MMD -MP $(WARN) -Werror $(HARDEN) $(LIB_CFLAGS) -O2 \
           -I. -Itests $(addprefix -I,$(sort $(dir $(filter %.c,$(LINKS_$(*F))))))

build/lint/gcc/%.o: %.c build/flavour
	@mkdir -p $(@D)
	$(call say,GCC,$<)
	$(Q)gcc $(LINT_CC) -c -o $@ $<
build/lint/clang/%.o: %.c build/flavour
	@mkdir -p $(@D)
	$(call say,CLANG,$<)
	$(Q)clang $(LINT_CC) -c -o $@ $<

.PHONY: lint
$(LINTED:%.c=build/lint/gcc/%.o) $(LINTED:%.c=build/lint/clang/%.o): | build/deps-lint
lint: build/deps-lint pages $(LINTED:%.c=build/lint/gcc/%.o) \
    $(LINTED:%.c=build/lint/clang/%.o)
	@scripts/lint

# --- install --------------------------------------------------------------------

MAN_DIR = $(DESTDIR)$(PREFIX)/share/man

.PHONY: install uninstall
install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(PROGRAMS:%=build/%) $(DESTDIR)$(PREFIX)/bin
	for p in $(notdir $(PAGES:.in=)); do \
	    install -D -m 644 build/man/$$p $(MAN_DIR)/man$${p##*.}/$$p || exit; \
	done
	for h in $(wildcard include/*.h); do \
	    install -D -m 644 $$h $(DESTDIR)$(PREFIX)/$$h || exit; \
	done
uninstall:
	cd $(DESTDIR)$(PREFIX)/bin && rm -f $(PROGRAMS)
	for p in $(notdir $(PAGES:.in=)); do rm -f $(MAN_DIR)/man$${p##*.}/$$p; done
	for h in $(wildcard include/*.h); do rm -f $(DESTDIR)$(PREFIX)/$$h; done

.PHONY: clean help
clean:
	rm -rf build
help:
	@sed -n '3,/^$$/s/^# \{0,1\}//p' Makefile
