# dr: the extension is built here, the program pgdr in archive_cmd/.
#
#   make                build both
#   make install        install both into the server that pg_config names
#   make check          set up what is missing, build, install, run every test
#   make demo           the same set-up, then a disaster and the recovery
#   make soak           make check at full length (hours)
#   make bench          speed, side by side with the peers (bench/README.md)
#   make installcheck   pg_regress on a temporary instance (not as root)
#   make lint           format, include directions, banned calls, versions
#
# PG_CONFIG=... chooses the server, CC=clang the compiler, COPT=... adds options
# for compiler and linker.  WERROR= lets warnings pass.

PG_CONFIG ?= pg_config

# -- for people -------------------------------------------------------------

# These set up first and then start make again: pg_config may not be there yet
# when this file is read.  The server's makefile is left out, because it has a
# "check" that only says that there is none.
front = setup check soak demo bench
ifneq ($(filter $(front),$(MAKECMDGOALS)),)

others = $(filter-out $(front),$(MAKECMDGOALS))
quietly = $(MAKE) --no-print-directory -s
build = $(quietly) -j$$(nproc) all

.NOTPARALLEL:
.PHONY: $(front) $(others)

setup:
	@PG_CONFIG='$(PG_CONFIG)' tests/setup.sh

check: setup
	@$(build) unit-tests
	@$(quietly) check-built

soak: setup
	@$(build) unit-tests
	@PGDR_SOAK=1 $(quietly) check-built

demo: setup
	@$(build)
	@$(quietly) demo-built

bench: setup
	@bench/setup.sh
	@$(build)
	@$(quietly) bench-built

$(others):
	@$(MAKE) --no-print-directory $@

else # not for people

# -- building ---------------------------------------------------------------

# The tests; the names are those of sql/NAME.sql.  Each goes on from the last.
REGRESS = install errors backup rpo event
# Not ./tmp_check, which the TAP tests own.
REGRESS_OPTS = --temp-instance=./tmp_check_regress \
	--temp-config=tests/regress.conf

PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
ifneq ($(PGXS),)


EXTENSION = dr
MODULE_big = dr
PGFILEDESC = "dr - disaster recovery"
DATA = $(wildcard sql/dr--*.sql)
OBJS = $(patsubst %.c,%.o,$(wildcard src/*.c src/common/*.c))

WERROR ?= -Werror
# clang does not know all the options that the server was configured with.
FOR_CLANG = -Wno-unknown-warning-option -Wno-ignored-optimization-argument \
	-Wno-ignored-attributes
# The server's headers leave parameters unused and compare signs.
PG_CFLAGS = -Wall -Wextra $(WERROR) -Wno-unused-parameter -Wno-sign-compare \
	-Wno-declaration-after-statement \
	$(if $(findstring clang,$(shell $(CC) --version)),$(FOR_CLANG)) \
	-MMD -MP
PG_CPPFLAGS = -Isrc
EXTRA_CLEAN = $(OBJS:.o=.d) tmp_check tmp_check_regress \
	regression.diffs regression.out results log

# Sanitizers are for the program: a server cannot load a module with them.
override COPT := $(filter-out -fsanitize%,$(COPT))

include $(PGXS)

# Bitcode is made by clang from the same sources, without our warnings.
COMPILE.c.bc += -Isrc

-include $(OBJS:.o=.d)

# A static pattern, because phony goals ignore implicit rules.
forwarded = all install uninstall clean installdirs
.PHONY: $(forwarded:%=program-%)
$(forwarded:%=program-%): program-%:
	$(MAKE) -C archive_cmd $*
$(forwarded): %: program-%
# else make -j has two makes at work in one directory
program-install program-installdirs unit-tests: program-all

.PHONY: unit-tests check-built demo-built bench-built
unit-tests:
	$(MAKE) -C archive_cmd unit-tests

run = PG_CONFIG='$(PG_CONFIG)' MAKE='$(MAKE)' PGDR_REGRESS='$(REGRESS)' \
	tests/run.sh

check-built:
	@$(run) prove $(PROVE_TESTS)

demo-built:
	@$(run) demo

bench-built:
	$(MAKE) -C archive_cmd bench-programs
	@$(run) bench $(BENCH)

else # no PGXS

.PHONY: all install uninstall clean installcheck
all install uninstall clean installcheck:
	@echo "$(PG_CONFIG) names no PGXS: \"make setup\" installs what is missing" >&2
	@false

endif # PGXS

.PHONY: lint
lint:
	@PG_CONFIG='$(PG_CONFIG)' \
		PERL5LIB="$$(dirname '$(PGXS)')/../test/perl:$$PERL5LIB" \
		prove tests/900_lint.pl

endif # for people
