#!/bin/bash
#
# demo.sh
#	  A cluster under load is archived, backed up, killed and deleted; then
#	  pgdr recovers it to a point in time, and the result is proved.
#
# "make demo" sets up what is needed and runs this.  Everything is below one
# temporary directory, which goes at the end with all that was started.

set -euo pipefail

scale=${PGDR_DEMO_SCALE:-10}
clients=8
tmpdir=${TMPDIR:-/tmp}
[ ${#tmpdir} -le 60 ] || tmpdir=/tmp # the path of a socket is short
dir=$(mktemp -d "$tmpdir/dr-demo-XXXXXX")
pgdata=$dir/data
load=
problems=0

export PGHOST=$dir PGPORT=${PGDR_DEMO_PORT:-54329} PGDATABASE=postgres
export PGDR_CONFIG=$dir/etc/pgdr.conf PGOPTIONS='-c client_min_messages=warning'

# ---- small things ----

say() { printf '\n%s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
indent() { sed -e '/^$/d' -e 's/^/   /'; }
sql() { psql -XAtq -v ON_ERROR_STOP=1 -c "$1"; }
table() { psql -Xq -v ON_ERROR_STOP=1 -P footer=off -c "$1" | indent; }

# Shows a command as it can be typed, then runs it.
run()
{
	printf '   $ %s\n' "${*//$dir/\$DEMO}"
	"$@" 2>&1 | sed "s|$dir|\$DEMO|g" | indent
}

now() { date +%s%N; }
seconds() { printf '%d.%02d' $(($1 / 1000000000)) $(($1 / 10000000 % 100)); }

# Names a proof and runs it; what it prints is shown only when it fails.
prove()
{
	local what=$1

	shift
	if "$@" >"$dir/proof" 2>&1
	then
		note "ok: $what"
	else
		note "FAILED: $what"
		indent <"$dir/proof"
		problems=$((problems + 1))
	fi
}

is() { [ "$1" = "$2" ] || { echo "\"$1\" is not \"$2\""; false; }; }

postmaster() { head -n 1 "$pgdata/postmaster.pid" 2>/dev/null || true; }

clean_up()
{
	local status=$? pid

	[ -z "$load" ] || kill "$load" 2>/dev/null || true
	pid=$(postmaster)
	if [ -n "$pid" ]
	then
		kill -QUIT "$pid" 2>/dev/null || true
		tail --pid="$pid" -f /dev/null
	fi
	if [ "$status" -ne 0 ]
	then
		echo "demo.sh: failed; the server's log ends with:" >&2
		tail -n 15 "$dir/server.log" >&2 || true
	fi
	rm -rf "$dir"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

start_server() { pg_ctl -D "$pgdata" -l "$dir/server.log" -w start >/dev/null; }

# ---- the demonstration ----

make_cluster()
{
	initdb -D "$pgdata" --data-checksums -A trust -N >"$dir/initdb.log" 2>&1
	cat >>"$pgdata/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$dir'
port = $PGPORT
shared_buffers = 128MB
max_wal_size = 1GB
archive_timeout = 2s
track_commit_timestamp = on
dr.config_file = '$PGDR_CONFIG'
END
	start_server
	pgbench -i -q -s "$scale" >"$dir/pgbench.log" 2>&1
	note "$(sql 'SELECT split_part(version(), $$ on $$, 1)')," \
		"pgbench with $(sql 'SELECT count(*) FROM pgbench_accounts') accounts," \
		"$(sql 'SELECT pg_size_pretty(sum(pg_database_size(oid))) FROM pg_database')"
}

archive_it()
{
	run pgdr init --pgdata "$pgdata" --repo-path "$dir/repo" \
		--connection "host=$dir port=$PGPORT dbname=postgres" --apply
	pg_ctl -D "$pgdata" -l "$dir/server.log" -w restart >/dev/null
}

# $1 seconds from now, in commits of pgbench.
wait_for_commits()
{
	local until=$(($(now) + $1 * 1000000000))

	while [ "$(now)" -lt "$until" ] && kill -0 "$load"
	do
		sleep 0.1
	done
}

# Every commit that a client was told of is in its log.
begin_load()
{
	(cd "$dir" && exec pgbench -n -M prepared -c $clients -j 2 -T 600 \
		-l --log-prefix=acknowledged) >"$dir/pgbench.log" 2>&1 &
	load=$!
}

# From SQL, if the extension is there.
show_archive()
{
	local available

	available=$(sql "SELECT count(*) FROM pg_available_extensions WHERE name = 'dr'")
	if [ "$available" != 1 ]
	then
		run pgdr info
		return
	fi
	note "=> CREATE EXTENSION dr; CALL dr.sync();"
	sql 'CREATE EXTENSION dr'
	sql 'CALL dr.sync()' >"$dir/sync.log"
	note "=> SELECT ... FROM dr.backup; SELECT ... FROM dr.recovery_window;"
	table "SELECT label, stop_time::timestamptz(0) AS complete_at,
				  pg_size_pretty(plain_bytes) AS size,
				  pg_size_pretty(stored_bytes) AS stored
		   FROM dr.backup"
	table "SELECT timeline, from_time::timestamptz(0), to_time::timestamptz(0),
				  reachable, missing_segment
		   FROM dr.recovery_window"
}

disaster()
{
	local pid

	pid=$(postmaster)
	lost_at=$(now)
	kill -9 "$pid"
	rm -rf "$pgdata"
	tail --pid="$pid" -f /dev/null
	note "kill -9 of the server at $(date -d "@$((lost_at / 1000000000))" +%T); rm -rf of its data directory."
	wait "$load" || true
	load=
	acknowledged=$(cat "$dir"/acknowledged* | wc -l)
	note "Clients had been told of $acknowledged commits" \
		"($(rate "$lost_at") per second)."
}

rate()
{
	echo $((acknowledged * 1000000000 / ($1 - load_at)))
}

# The archive ends with a commit; a target must lie before that, or nobody could
# tell whether it was reached.
choose_target()
{
	local reach

	reach=$(pgdr --output=json restore --target-dir "$pgdata" --dry-run |
		jq -r 'select(.type == "plan").reach_time')
	microseconds=$(($(date -d "$reach" +%s%6N) - 10000))
	target=$(date -u -d "@$((microseconds / 1000000))" '+%FT%T').$(
		printf '%06d' $((microseconds % 1000000)))Z
	note "The archive reaches to $reach; recover to 10 ms before that."
}

recover()
{
	if pg_isready -q
	then
		echo "demo.sh: the server still answers" >&2
		exit 1
	fi
	detected=$(now)
	choose_target
	planned=$(now)
	run pgdr restore --target-dir "$pgdata" --target-type time --target "$target"
	restored=$(now)
	prove "every file is what was backed up (pg_verifybackup)" \
		pg_verifybackup -n "$pgdata"
	verified=$(now)
	start_server
	until [ "$(sql 'SELECT pg_is_in_recovery()')" = f ]
	do
		sleep 0.05
	done
	ready=$(now)
}

# Commits that clients were told of before the target.
told_before()
{
	cat "$dir"/acknowledged* |
		awk -v until="$microseconds" '$5 * 1000000 + $6 < until' | wc -l
}

prove_it()
{
	local sums='SELECT count(DISTINCT s) FROM (
		SELECT sum(abalance) AS s FROM pgbench_accounts
		UNION ALL SELECT sum(tbalance) FROM pgbench_tellers
		UNION ALL SELECT sum(bbalance) FROM pgbench_branches
		UNION ALL SELECT sum(delta) FROM pgbench_history) AS sums'

	prove "balances agree across accounts, tellers, branches and history" \
		is "$(sql "$sums")" 1
	prove "no commit is there that was made after the target" \
		is "$(sql "SELECT count(*) FROM pgbench_history
			WHERE pg_xact_commit_timestamp(xmin) > '$target'")" 0
	prove "every commit is there that a client was told of before the target" \
		test "$(sql 'SELECT count(*) FROM pgbench_history')" -ge "$(told_before)"
	prove "every table and index is sound (pg_amcheck --heapallindexed)" \
		pg_amcheck --all --heapallindexed --install-missing
	pg_ctl -D "$pgdata" -w stop >/dev/null
	prove "every page is sound (pg_checksums --check)" \
		pg_checksums --check "$pgdata"
}

measure()
{
	local last recovered

	recovered=$(sql 'SELECT count(*) FROM pgbench_history')
	last=$(sql "SELECT extract(epoch FROM max(pg_xact_commit_timestamp(xmin))) * 1000000
		FROM pgbench_history")
	rpo=$((lost_at - ${last%.*} * 1000))
	rto=$((ready - detected))
	lost=$((acknowledged - recovered))
}

say "1. A cluster, in DEMO=$dir"
make_cluster
say "2. Archived by pgdr, under load"
archive_it
load_at=$(now)
begin_load
wait_for_commits 2
run pgdr backup
wait_for_commits 6
show_archive
say "3. Disaster"
disaster
say "4. Point-in-time recovery"
recover
measure
say "5. Proof"
prove_it
say "Result"
note "RPO  $(seconds "$rpo") s: the last commit recovered was that old when the server was lost"
note "        ($lost of $acknowledged commits were not yet archived; archive_timeout is 2 s)"
note "RTO  $(seconds "$rto") s from the loss being noticed to the first query:" \
	"plan $(seconds $((planned - detected)))," \
	"restore $(seconds $((restored - planned)))," \
	"verify $(seconds $((verified - restored)))," \
	"replay $(seconds $((ready - verified)))"
if [ "$problems" -gt 0 ]
then
	note "FAILED: $problems of the proofs did not hold"
	exit 1
fi
note "The cluster was recovered, and proved to be consistent."
