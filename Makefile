# vecseg: dense vectors in PostgreSQL.
#
#   make                  build the extension
#   make install          install it into the server that PG_CONFIG points to
#   make setup            install the Debian packages that building and testing need
#   make demo             load real data into a private server and query it
#   make demo-stop        stop and remove the demo server
#   make test             build, install, run every test
#   make test-regress     SQL scripts only          [REGRESS="basic types"]
#   make test-isolation   concurrency specs only    [ISOLATION="merge"]
#   make test-tap         crash, replication, ...   [TESTS="003_crash_recovery"]
#   make test-hard        the TAP tests with longer rounds
#   make test-matrix      the tests on several versions of PostgreSQL
#                         [VERSIONS="17 18"]
#   make test-asserts     the tests on a server built with assertions
#                         [SANITIZE=1 for gcc's sanitizers too]
#   make test-server-suites   PostgreSQL's and pgvector's own suites, on vecseg
#                         tables  [SUITES="regress isolation recovery
#                         subscription pgvector pgvector_tap"]
#   make bench            measure against heap tables and the disk  [ROWS=200000],
#                         then logical replication
#   make bench-replication    only that
#
# PGVER=16 or PG_CONFIG=/path/to/pg_config chooses the server; WERROR=1 turns
# warnings into errors.

ifdef PGVER
PG_CONFIG ?= /usr/lib/postgresql/$(PGVER)/bin/pg_config
endif
PG_CONFIG ?= $(or $(shell command -v pg_config), \
	$(lastword $(shell ls -v /usr/lib/postgresql/*/bin/pg_config 2>/dev/null)))

MODULE_big = vecseg
EXTENSION = vecseg
DATA = $(wildcard sql/vecseg--*.sql)
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
EXTRA_CLEAN = $(wildcard src/*.[od] src/*/*.[od]) src/.built-for-*

# The server's own headers are not clean with the two warnings left out.
PG_CPPFLAGS = -I$(srcdir)/src -MMD -MP
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	$(if $(filter 1,$(WERROR)),-Werror)
SHLIB_LINK += -luring

# No bitcode; and dependencies come from -MMD, whatever the server was built with.
override with_llvm = no
override autodepend = no
NO_INSTALLCHECK = 1

.DEFAULT_GOAL := all

# Before `make setup` there may be no server headers: the targets that do not
# compile must work all the same.
PGXS := $(wildcard $(if $(PG_CONFIG),$(shell $(PG_CONFIG) --pgxs 2>/dev/null)))
ifneq ($(PGXS),)
include $(PGXS)

# Objects for another server are of no use. (Not by a rule: the server's makefile
# has .SECONDARY, by which what is missing is not made.)
ifneq ($(filter all install,$(or $(MAKECMDGOALS),all)),)
BUILT_FOR := src/.built-for-$(VERSION)-$(firstword \
	$(shell $(PG_CONFIG) --bindir --configure | cksum))
ifeq ($(wildcard $(BUILT_FOR)),)
$(shell rm -f src/.built-for-* $(OBJS) $(MODULE_big)$(DLSUFFIX) && \
	touch $(BUILT_FOR))
endif
endif

# Has the compiler use vectors for checksums, as the server's makefile does.
src/segment/checksum.o: CFLAGS += $(CFLAGS_UNROLL_LOOPS) $(CFLAGS_VECTORIZE)

-include $(OBJS:.o=.d)
else
all install uninstall clean:
	$(error no PostgreSQL server headers found; run "make setup" first, or set PG_CONFIG)
endif

setup:
	@test/setup.sh

demo:
	@test/demo.sh

demo-stop:
	@test/demo.sh stop

test:
	@test/run.sh

test-regress test-isolation test-tap:
	@test/run.sh $(@:test-%=%)

test-hard:
	@VECSEG_TEST_HARD=1 test/run.sh tap

test-matrix:
	@test/matrix.sh $(VERSIONS)

test-asserts:
	@test/asserts.sh

test-server-suites:
	@test/server_suites.sh $(SUITES)

bench:
	@test/bench/run.sh
	@test/bench/replication.sh

bench-replication:
	@test/bench/replication.sh

help:
	@sed -n '/^#   make/,/^#$$/s/^# / /p' Makefile

.PHONY: all install uninstall clean setup demo demo-stop test test-regress \
	test-isolation test-tap test-hard test-matrix test-asserts \
	test-server-suites bench bench-replication help
