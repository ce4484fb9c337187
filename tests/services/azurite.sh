#!/bin/bash
#
# azurite.sh ACTION ...
#	  Azurite, which speaks the protocol of Azure Blob Storage, on a loopback
#	  port that is free, as any user.
#
#	  install			into a directory of its own, from npm
#	  installed			is it there?
#	  start DIR [CERTIFICATES KEY]
#						with certificates (chain, PEM) it speaks TLS, and
#						only that; what DIR holds from an earlier start stays
#	  stop DIR
#	  container DIR NAME
#						makes a container
#	  sas DIR CONTAINER PERMISSIONS [SECONDS]
#						prints a shared access signature for a container with
#						permissions such as "cl", good for an hour or that long
#
# What a client needs is in DIR/env as NAME=VALUE lines: AZURE_PORT,
# AZURE_ENDPOINT, AZURE_ACCOUNT, AZURE_KEY_FILE; DIR/azurite.pid is the process.
# Requests are signed here with openssl, not with the code under test.

set -euo pipefail

# Later ones want a newer Node.js than Debian 12 has.
version=3.35.0
home=${PGDR_AZURITE:-/usr/local/lib/pgdr-test/azurite}
program=$home/node_modules/azurite/dist/src/blob/main.js
account=pgdrtest
api=2021-12-02

fail()
{
	echo "azurite.sh: $*" >&2
	exit 1
}

is_installed()
{
	[ -f "$program" ] &&
		grep -q "\"version\": \"$version\"" "$home/node_modules/azurite/package.json"
}

install()
{
	local new="$home.new"

	is_installed && return
	command -v npm >/dev/null || fail "npm is not installed"
	rm -rf "$new"
	mkdir -p "$new"
	npm install --no-audit --no-fund --loglevel=error --prefix "$new" \
		"azurite@$version" >&2
	rm -rf "$home"
	mv "$new" "$home"
	is_installed || fail "\"$home\" does not hold Azurite $version"
}

# -- the server --------------------------------------------------------------

# The port, once it says that it listens.
wait_for_port()
{
	local try found

	for try in $(seq 600)
	do
		found=$(sed -n 's/.*successfully listens on .*:\([0-9]*\)$/\1/p' \
			"$dir/azurite.log")
		if [ -n "$found" ]
		then
			echo "$found"
			return
		fi
		kill -0 "$(cat "$dir/azurite.pid")" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 20 "$dir/azurite.log" >&2
	fail "Azurite does not start"
}

start()
{
	local certificates=${1:-} key=${2:-} old port
	local options=(--blobHost 127.0.0.1 --location "$dir/data" --disableTelemetry)
	local endpoint=http://127.0.0.1

	is_installed ||
		fail "Azurite $version is not installed in $home; tests/setup.sh installs it"
	mkdir -p "$dir"
	# the port of an earlier start, that clients may still use
	old=$(sed -n 's/^AZURE_PORT=//p' "$dir/env" 2>/dev/null || true)
	options+=(--blobPort "${old:-0}")
	if [ -n "$certificates" ]
	then
		options+=(--cert "$certificates" --key "$key")
		# the host that the certificates are for
		endpoint=https://localhost
	fi
	[ -f "$dir/key" ] || (
		umask 077
		head -c 64 /dev/urandom | base64 -w 0 >"$dir/key"
	)
	AZURITE_ACCOUNTS="$account:$(cat "$dir/key")" \
		setsid node "$program" "${options[@]}" >"$dir/azurite.log" 2>&1 </dev/null &
	echo $! >"$dir/azurite.pid"
	port=$(wait_for_port)
	cat >"$dir/env" <<-END
		AZURE_PORT=$port
		AZURE_ENDPOINT=$endpoint:$port/$account
		AZURE_ACCOUNT=$account
		AZURE_KEY_FILE=$dir/key
	END
}

# It writes its index when it is asked to end, not at each request.
stop()
{
	local pid try

	[ -f "$dir/azurite.pid" ] || return 0
	pid=$(cat "$dir/azurite.pid")
	rm -f "$dir/azurite.pid"
	kill -CONT "$pid" 2>/dev/null && kill "$pid" || return 0
	for try in $(seq 50)
	do
		kill -0 "$pid" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -9 "$pid" 2>/dev/null || true
}

# -- a client ----------------------------------------------------------------

# Signature of standard input with the account's key.
sign()
{
	openssl dgst -sha256 -mac HMAC -binary \
		-macopt "hexkey:$(base64 -d "$dir/key" | od -An -v -tx1 | tr -d ' \n')" |
		base64 -w 0
}

escape()
{
	sed 's/%/%25/g; s/+/%2B/g; s,/,%2F,g; s/=/%3D/g; s/:/%3A/g'
}

container()
{
	local name=$1 date signature endpoint options=()

	date=$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT')
	signature=$(printf 'PUT\n\n\n\n\n\n\n\n\n\n\n\n%s\n%s\n%s' \
		"x-ms-date:$date" "x-ms-version:$api" \
		"/$account/$account/$name"$'\n'"restype:container" | sign)
	endpoint=$(sed -n 's/^AZURE_ENDPOINT=//p' "$dir/env")
	curl -fsS -k -o /dev/null -X PUT -H 'Content-Length: 0' \
		-H "x-ms-date: $date" -H "x-ms-version: $api" \
		-H "Authorization: SharedKey $account:$signature" \
		"$endpoint/$name?restype=container" ||
		fail "could not make container \"$name\""
}

sas()
{
	local name=$1 permissions=$2 seconds=${3:-3600} end signature

	end=$(date -u -d "@$(($(date +%s) + seconds))" +%Y-%m-%dT%H:%M:%SZ)
	# what is not set is an empty line
	signature=$(printf '%s\n\n%s\n%s\n\n\n\n%s\nc\n\n\n\n\n\n\n' \
		"$permissions" "$end" "/blob/$account/$name" "$api" | sign | escape)
	echo "sv=$api&sr=c&sp=$permissions&se=$(escape <<<"$end")&sig=$signature"
}

action=${1:-}
dir=${2:-}
case $action in
	install | installed) ;;
	start | stop | container | sas)
		[ -n "$dir" ] || fail "no directory given"
		shift 2
		;;
	*) fail "unknown action \"$action\"" ;;
esac

case $action in
	installed) is_installed ;;
	*) "$action" "$@" ;;
esac
