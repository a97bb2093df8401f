# Rookery: one Makefile, no recursion.
#
#   make             build/rookery and its daemons
#   make run         the whole system, against the simulator until .env names a bot
#   make test        everything under ASan and UBSan
#   make bench       what it costs, as ratios to a floor
#   make lint install clean

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

CC     ?= cc
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX ?= /usr/local
PKG    ?= pkg-config

PROGRAMS := rookery rookeryd gatewayd apid workerd qqsim
MSGPACK  := $(shell $(PKG) --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)

# What each program is made of: its folder, common/, and its libraries.
DIR_rookery  := cli
DIR_rookeryd := supervisor
LIBS_rookery  := libzmq json-c $(MSGPACK)
LIBS_rookeryd := json-c $(MSGPACK)
LIBS_gatewayd := libwebsockets libzmq json-c $(MSGPACK) libcrypto
LIBS_apid     := libcurl libzmq json-c $(MSGPACK) libcrypto
LIBS_workerd  := libzmq json-c $(MSGPACK)
LIBS_qqsim    := libwebsockets libzmq libcurl json-c $(MSGPACK) libcrypto libssl
ALL_LIBS := libwebsockets libcurl libzmq json-c $(MSGPACK) libcrypto libssl

CPPFLAGS += -D_GNU_SOURCE -Icommon -Iinclude
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wvla
CFLAGS   ?= -O2 -g
HARDEN   := -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2
LDFLAGS  += -pie -Wl,-z,relro,-z,now -Wl,--as-needed
ifneq ($(CI)$(WERROR),)
WARN += -Werror
endif
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
            -fno-omit-frame-pointer

STD := -std=gnu11 -MMD -MP
LIB_CFLAGS := $(shell $(PKG) --cflags $(ALL_LIBS) 2>/dev/null)

# A build of another compiler or of other flags is another build.
FLAVOUR := $(CC) $(CFLAGS) $(CPPFLAGS) $(WARN) $(HARDEN)
$(shell mkdir -p build; printf '%s\n' '$(FLAVOUR)' | cmp -s - build/flavour || printf '%s\n' '$(FLAVOUR)' > build/flavour)

COMMON_SRC := $(wildcard common/*.c)

dir_of  = $(or $(DIR_$(1)),$(1))
srcs_of = $(wildcard $(call dir_of,$(1))/*.c)

.PHONY: all
all: $(PROGRAMS:%=build/%)

define program
build/$(1): $$(patsubst %.c,build/obj/%.o,$$(call srcs_of,$(1))) build/common.a
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) build/common.a $$(shell $$(PKG) --libs $$(LIBS_$(1)))
build/asan/$(1): $$(patsubst %.c,build/asan/obj/%.o,$$(call srcs_of,$(1))) build/asan/common.a
	$$(CC) $$(CFLAGS) $$(SANITIZE) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) build/asan/common.a $$(shell $$(PKG) --libs $$(LIBS_$(1)))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

build/common.a: $(COMMON_SRC:%.c=build/obj/%.o)
	@rm -f $@
	ar rcs $@ $^
build/asan/common.a: $(COMMON_SRC:%.c=build/asan/obj/%.o)
	@rm -f $@
	ar rcs $@ $^

build/obj/%.o: %.c build/flavour
	@mkdir -p $(@D)
	$(CC) $(STD) $(CPPFLAGS) $(LIB_CFLAGS) $(CFLAGS) $(WARN) $(HARDEN) -c -o $@ $<
build/asan/obj/%.o: %.c build/flavour
	@mkdir -p $(@D)
	$(CC) $(STD) $(CPPFLAGS) $(LIB_CFLAGS) $(CFLAGS) $(WARN) $(SANITIZE) -fPIE -c -o $@ $<

-include $(shell find build -name '*.d' 2>/dev/null)

.PHONY: clean
clean:
	rm -rf build
