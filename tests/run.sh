#!/bin/bash
#
# run.sh prove [TEST...] | demo | bench [CASE...]
#	  Installs what was built, then runs the tests, the demonstration or the
#	  measurements.
#
# Servers refuse to run as root, and user postgres may not be able to read a
# checkout below /root.  So as root everything runs as postgres in a copy of
# the tree, below TMPDIR.  The copy is kept when something fails.

set -euo pipefail
cd "$(dirname "$0")/.."

action=$1
shift
pg_config=${PG_CONFIG:-pg_config}
bindir=$("$pg_config" --bindir)
pkglibdir=$("$pg_config" --pkglibdir)
sharedir=$("$pg_config" --sharedir)

is_current()
{
	cmp -s archive_cmd/pgdr "$bindir/pgdr" &&
		cmp -s dr.so "$pkglibdir/dr.so" &&
		cmp -s dr.control "$sharedir/extension/dr.control" &&
		for script in sql/dr--*.sql
		do
			cmp -s "$script" "$sharedir/extension/$(basename "$script")" || return 1
		done
}

install_all()
{
	is_current && return
	if ! [ -w "$bindir" ]
	then
		echo "run.sh: what is installed in $bindir is not what was built;" \
			"run \"make install\" as root first" >&2
		exit 1
	fi
	"${MAKE:-make}" --no-print-directory -s install PG_CONFIG="$pg_config" >&2
}

copy_tree()
{
	tar --exclude=./.git --exclude='./tmp_check*' -cf - . | tar -xf - -C "$1"
	chown -R postgres: "$1"
}

# Results are added to those that are there already.
results=${BENCH_OUT:-bench-results}

lend_results()
{
	rm -rf "$1/bench-results"
	mkdir "$1/bench-results"
	[ ! -d "$results" ] || cp -r "$results/." "$1/bench-results/"
	chown -R postgres: "$1/bench-results"
}

bring_results()
{
	mkdir -p "$results"
	cp -r --no-preserve=ownership "$1/bench-results/." "$results/"
}

# Every test there is: regression tests, programs, scripts.
all_tests()
{
	local test

	for test in tests/*.pl tests/unit/*_test
	do
		[ -f "$test" ] && echo "$test"
	done
}

# Run as root, the rest of this file is for postgres in a copy.
install_all
if [ "$(id -u)" -eq 0 ]
then
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/dr-XXXXXX")
	copy_tree "$scratch"
	[ "$action" != bench ] || lend_results "$scratch"
	status=0
	runuser -u postgres -- env HOME="$scratch" PG_CONFIG="$pg_config" BENCH_OUT= \
		"$scratch/tests/run.sh" "$action" "$@" || status=$?
	[ "$action" != bench ] || bring_results "$scratch"
	if [ $status -eq 0 ]
	then
		rm -rf "$scratch"
	else
		echo "run.sh: files of this run are kept in $scratch" >&2
	fi
	exit $status
fi

export PATH="$bindir:$PATH"
export PG_CONFIG="$pg_config"
export PG_REGRESS="$pkglibdir/pgxs/src/test/regress/pg_regress"
export PERL5LIB="$pkglibdir/pgxs/src/test/perl:$PWD/tests/perl${PERL5LIB:+:$PERL5LIB}"
export TESTDIR="$PWD" TESTDATADIR="$PWD/tmp_check" TESTLOGDIR="$PWD/tmp_check/log"
export LC_ALL=C.UTF-8
# A test's servers must not be reached, or steered, by the caller's settings.
unset PGHOST PGPORT PGUSER PGDATABASE PGDATA PGSERVICE PGPASSFILE PGOPTIONS PGDR_CONFIG

case $action in
	prove)
		rm -rf tmp_check
		mkdir -p tmp_check/log
		if [ $# -eq 0 ]
		then
			mapfile -t tests < <(all_tests)
			set -- "${tests[@]}"
		fi
		status=0
		prove --timer ${PROVE_FLAGS:-} "$@" || status=$?
		[ $status -eq 0 ] || echo "run.sh: logs are in $PWD/tmp_check/log" >&2
		exit $status
		;;
	demo)
		exec tests/demo.sh "$@"
		;;
	bench)
		rm -rf tmp_check
		mkdir -p tmp_check/log
		exec perl bench/run.pl "$@"
		;;
	*)
		echo "run.sh: unknown action \"$action\"" >&2
		exit 2
		;;
esac
