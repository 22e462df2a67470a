# gslb: `make run` tries it, `make test` proves it, `make deps` installs what both need.

BUILD    ?= build
ifeq ($(origin CC),default)
CC = gcc
endif
PYTHON   ?= /usr/bin/python3
SANITIZE ?=
# folders that go into the library, the lower ones first; set MODULES on the command line to build a part alone
FOLDERS  = gslb/base gslb/model gslb/net gslb/decide \
	zones/message zones/records zones/image zones/tables zones/compile zones/transfer zones/secondary zones/answer zones \
	probes/kinds probes/sources probes \
	discovery/documents discovery/registry discovery/mdns \
	discovery/publish discovery/session discovery/balancers discovery/agent \
	gslb/admin gslb/main
MODULES  ?= $(FOLDERS)

PACKAGES_BUILD = gcc make pkg-config libldns-dev libc-ares-dev libmicrohttpd-dev liblmdb-dev libyaml-dev \
	libjansson-dev libuv1-dev liburcu-dev libcurl4-gnutls-dev libgnutls28-dev libcap-ng-dev libseccomp-dev libsystemd-dev \
	libsodium-dev libsnmp-dev libxxhash-dev python3 bind9-dnsutils curl
PACKAGES_TEST  = $(PACKAGES_BUILD) libcmocka-dev clang libclang-rt-14-dev python3-dnspython python3-yaml python3-jsonschema \
	knot-dnsutils unbound prometheus chromium chromium-driver iproute2 procps lmdb-utils \
	bind9 knot nsd knot-resolver pdns-recursor zonemaster-cli openssl snmpd snmp haproxy \
	prometheus-node-exporter python3-pyftpdlib nghttp2-server valgrind
PACKAGES_BENCH = $(PACKAGES_TEST) etcd-server gdnsd knot-module-geoip pdns-server pdns-backend-bind pdns-backend-geoip \
	dnsperf linux-perf
PACKAGES_LINT  = clang-format clang-tidy cppcheck

LIBRARIES = lmdb yaml-0.1 jansson libuv liburcu-qsbr libcurl gnutls libcares libmicrohttpd libcap-ng libseccomp libsystemd \
	libsodium netsnmp libxxhash
PKG_CFLAGS := $(shell pkg-config --cflags $(LIBRARIES) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(LIBRARIES) 2>/dev/null) -lldns

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
HARDEN   = -fstack-protector-strong -fPIE -fstack-clash-protection -fcf-protection
ifeq ($(SANITIZE),)
OPTIMISE = -O2 -g -D_FORTIFY_SOURCE=2
else
OPTIMISE = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
endif
# liburcu's small functions are inlined where this is defined
CFLAGS_ALL  = -std=gnu11 -D_GNU_SOURCE -D_LGPL_SOURCE -I. -I$(BUILD) $(WARNINGS) $(HARDEN) $(OPTIMISE) $(PKG_CFLAGS) $(CFLAGS)
LDFLAGS_ALL = -pie -pthread -Wl,-z,relro,-z,now $(OPTIMISE) $(LDFLAGS)

PROGRAMS = gslbd gslbctl gslb-agent
MAINS    = gslb/main/gslbd.c gslb/main/gslbctl.c discovery/agent/gslb-agent.c
SOURCES  = $(filter-out $(MAINS),$(wildcard $(MODULES:%=%/*.c)))
OBJECTS  = $(SOURCES:%.c=$(BUILD)/%.o)
LIBRARY  = $(BUILD)/libgslb.a
UNITS    = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard $(patsubst %,tests/unit/%/*_test.c,$(MODULES:gslb/%=%))))
FUZZERS  = $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))
C_FILES  = $(wildcard $(FOLDERS:%=%/*.[ch]) tests/fuzz/*.c tests/bench/*.[ch] tests/fake/*.c \
	tests/unit/*/*.[ch] tests/unit/*/*/*.[ch])

.PHONY: all run test test-asan test-long bench benches bench-registry bench-probes bench-instructions unit fuzz deps deps-run lint format check-format check-headers clean
all: $(PROGRAMS:%=$(BUILD)/%)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  cc    $@"
	@$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# the page's files go into the binary as one generated source
WEB_FILES = $(sort $(wildcard gslb/admin/web/*))
$(BUILD)/gslb/admin/web_files.h: gslb/admin/embed.py $(WEB_FILES)
	@mkdir -p $(@D)
	$(PYTHON) gslb/admin/embed.py $(WEB_FILES) > $@.new && mv $@.new $@
$(BUILD)/gslb/admin/assets.o: $(BUILD)/gslb/admin/web_files.h

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	@echo "  ar    $@"
	@ar qcs $@ $^

$(BUILD)/gslbd: $(BUILD)/gslb/main/gslbd.o
$(BUILD)/gslbctl: $(BUILD)/gslb/main/gslbctl.o
$(BUILD)/gslb-agent: $(BUILD)/discovery/agent/gslb-agent.o
$(PROGRAMS:%=$(BUILD)/%): $(LIBRARY)
	@echo "  link  $@"
	@$(CC) $(LDFLAGS_ALL) $(filter %.o,$^) $(LIBRARY) $(PKG_LIBS) -o $@

# what stands beside a test and is none goes into it
beside = $(patsubst %.c,$(BUILD)/%.o,$(filter-out %_test.c,$(wildcard $(dir $(1))*.c)))
.SECONDARY: $(patsubst %.c,$(BUILD)/%.o,$(filter-out %_test.c,$(filter tests/unit/%.c,$(C_FILES))))
.SECONDEXPANSION:
$(BUILD)/unit/%: tests/unit/%.c $$(call beside,tests/unit/$$*) $(LIBRARY)
	@mkdir -p $(@D)
	@echo "  link  $@"
	@$(CC) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) $< $(filter %.o,$^) $(LIBRARY) $(PKG_LIBS) -lcmocka -o $@

unit: $(UNITS)
	@set -e; for test in $(UNITS); do $$test; done

# fuzzers need clang and link a library that is built with its coverage hooks
FUZZ_SANITIZE = address,undefined -fno-sanitize-recover=undefined
.PHONY: fuzz-library
fuzz-library:
	@$(MAKE) --no-print-directory BUILD=build/fuzz CC=clang HARDEN=-fPIE \
		OPTIMISE="-O1 -g -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZE)" build/fuzz/libgslb.a
build/fuzz/%: tests/fuzz/%.c fuzz-library
	@mkdir -p $(@D)
	@echo "  link  $@"
	@clang -std=gnu11 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,$(FUZZ_SANITIZE) $(PKG_CFLAGS) $< build/fuzz/libgslb.a $(PKG_LIBS) -o $@
fuzz: $(FUZZERS)

run: deps-run all
	exec etc/example/run

test: deps
	@exec tests/run

test-asan: deps
	@exec tests/run --asan

# the same tests with their full counts
test-long: deps
	@exec tests/run --long

# clients and targets of the benches
BENCHES = $(BUILD)/bench/dns_load $(BUILD)/bench/dns_streams $(BUILD)/bench/dns_echo \
	$(BUILD)/bench/probe_targets
$(BUILD)/bench/dns_load: tests/bench/dns_load.c tests/bench/dns_counts.c tests/bench/dns_queries.c tests/bench/latency.c
$(BUILD)/bench/dns_streams: tests/bench/dns_streams.c tests/bench/dns_counts.c tests/bench/dns_queries.c tests/bench/latency.c
$(BUILD)/bench/dns_echo: tests/bench/dns_echo.c
$(BUILD)/bench/probe_targets: tests/bench/probe_targets.c
$(BENCHES): tests/bench/dns_counts.h tests/bench/dns_queries.h tests/bench/latency.h
	@mkdir -p $(@D)
	@echo "  link  $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(filter %.c,$^) -lm -o $@
benches: $(BENCHES)

# answers beside other servers
bench: all
	@tests/install-packages $(PACKAGES_BENCH)
	GSLB_BUILD=$(abspath $(BUILD)) tests/bench/answers

# registrations beside etcd
bench-registry: all
	@tests/install-packages $(PACKAGES_BENCH)
	GSLB_BUILD=$(abspath $(BUILD)) tests/bench/registry

# HTTP monitors beside HAProxy's checks
bench-probes: all
	@tests/install-packages $(PACKAGES_BENCH)
	GSLB_BUILD=$(abspath $(BUILD)) tests/bench/probes

# instructions of an answer, by kind of query, beside those kept
bench-instructions:
	@tests/install-packages $(PACKAGES_BENCH)
	@$(MAKE) --no-print-directory $(BUILD)/bench/answer_instructions
	GSLB_BUILD=$(abspath $(BUILD)) tests/bench/instructions
$(BUILD)/bench/%: tests/bench/%.c $(LIBRARY)
	@mkdir -p $(@D)
	@echo "  link  $@"
	@$(CC) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) $< $(LIBRARY) $(PKG_LIBS) -o $@

deps:
	@tests/install-packages $(PACKAGES_TEST)
deps-run:
	@tests/install-packages $(PACKAGES_BUILD)

check-headers:
	@tests/check-headers

lint:
	@tests/install-packages $(PACKAGES_LINT)
	clang-format --dry-run -Werror $(C_FILES)
	cppcheck --quiet --error-exitcode=1 --std=c11 -I. --inline-suppr --suppressions-list=.cppcheck \
		--enable=warning,performance,portability -D_GNU_SOURCE $(filter %.c,$(C_FILES))
	clang-tidy --quiet $(filter-out tests/%,$(filter %.c,$(C_FILES))) -- -std=gnu11 -D_GNU_SOURCE -I. -I$(BUILD) $(PKG_CFLAGS)

format:
	@tests/install-packages $(PACKAGES_LINT)
	clang-format -i $(C_FILES)

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
