#!/bin/bash
#
# setup.sh
#	  Installs what building and testing need and this Debian machine lacks.
#
# Does nothing, and needs no rights, when everything is there.  With
# PG_CONFIG set, only the packages around that server are looked after.

set -euo pipefail

# Compiler, libraries to build with, tools that the tests use.
packages=(
	make gcc libc6-dev pkg-config
	libzstd-dev libsodium-dev libjansson-dev libinih-dev libxxhash-dev
	libssl-dev libpq-dev libcurl4-openssl-dev libexpat1-dev libssh2-1-dev
	age zstd jq procps util-linux iproute2 nftables openssh-server openssh-client
	clang clang-format valgrind
	perl libipc-run-perl
	openssl curl s3cmd python3-boto3 ceph-mon ceph-osd radosgw ceph-common
	pgbackrest gnuplot-nox
)

# A Node.js of another origin has npm in it and does not go with Debian's.
command -v npm >/dev/null || packages+=(nodejs npm)

azurite=$(dirname "$0")/services/azurite.sh

say()
{
	echo "setup: $*" >&2
}

is_installed()
{
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The client's package has pg_config and the makefiles, but no headers.
has_server()
{
	local pg_config=${PG_CONFIG:-pg_config}

	[ -f "$("$pg_config" --pgxs 2>/dev/null)" ] &&
		[ -f "$("$pg_config" --includedir-server)/postgres.h" ] &&
		[ -x "$("$pg_config" --bindir)/postgres" ]
}

# The version of PostgreSQL that this release of Debian holds.
debian_major()
{
	LC_ALL=C apt-cache depends postgresql |
		sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1
}

if ! command -v dpkg-query >/dev/null
then
	say "not a Debian machine: nothing is installed; needed are the equivalents of" \
		"postgresql (server and headers) ${packages[*]}"
	exit 0
fi

missing=()
for package in "${packages[@]}"
do
	is_installed "$package" || missing+=("$package")
done
server=yes
has_server || server=no

if [ ${#missing[@]} -eq 0 ] && [ $server = yes ] && "$azurite" installed
then
	exit 0
fi

wanted="${missing[*]}"
"$azurite" installed || wanted="$wanted azurite (from npm)"
[ $server = yes ] || wanted="$wanted postgresql with its headers"
if [ "$(id -u)" -ne 0 ]
then
	say "missing: $wanted"
	say "run this as root to have it installed"
	exit 1
fi

# What apt says is of interest only when it fails.
apt()
{
	apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" \
		>"$log" 2>&1 </dev/null && return
	cat "$log" >&2
	say "could not install: $wanted"
	exit 1
}

say "installing: $wanted"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt update
if [ $server = no ]
then
	major=$(debian_major)
	if [ -z "$major" ]
	then
		say "could not find out which PostgreSQL this release holds"
		exit 1
	fi
	missing+=("postgresql-$major" "postgresql-server-dev-$major")
fi
apt install --no-install-recommends "${missing[@]}"

if ! has_server
then
	say "\"${PG_CONFIG:-pg_config}\" still names no server with headers"
	exit 1
fi

"$azurite" install
