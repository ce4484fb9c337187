#!/bin/bash
#
# setup.sh
#	  Installs the peers that pgdr is measured with, and what draws the plots.
#
# The newest pgBackRest that Debian has is put beside that of this release, not
# in its place (newer_pgbackrest.sh); without it the latter is measured.

set -euo pipefail

packages=(pgbackrest gnuplot-nox barman barman-cli barman-cli-cloud patchelf)
newer=/var/lib/pgdr-bench

missing=()
for package in "${packages[@]}"
do
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
		missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]
then
	if [ "$(id -u)" -ne 0 ]
	then
		echo "bench/setup.sh: missing: ${missing[*]}; run this as root to have them installed" >&2
		exit 1
	fi
	echo "bench/setup.sh: installing: ${missing[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -y update >/dev/null
	apt-get -q -y install --no-install-recommends "${missing[@]}" >/dev/null
fi

[ -z "${PGBACKREST:-}" ] && [ "$(id -u)" -eq 0 ] && ! [ -x $newer/pgbackrest ] || exit 0
echo "bench/setup.sh: fetching the newest pgBackRest of Debian" >&2
if ! "$(dirname "$0")/newer_pgbackrest.sh" $newer >/dev/null
then
	echo "bench/setup.sh: going on with the pgBackRest of this release" >&2
fi
