#!/bin/bash
#
# setup.sh
#	  Installs the peers that pgdr is measured with, and what draws the plots.

set -euo pipefail

packages=(pgbackrest gnuplot-nox)

missing=()
for package in "${packages[@]}"
do
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
		missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ]
then
	echo "bench/setup.sh: missing: ${missing[*]}; run this as root to have them installed" >&2
	exit 1
fi
echo "bench/setup.sh: installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get -q -y update >/dev/null
apt-get -q -y install --no-install-recommends "${missing[@]}" >/dev/null
