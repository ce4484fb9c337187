#!/bin/bash
#
# newer_pgbackrest.sh DIR [SUITE]
#	  The pgBackRest of a newer Debian release (default: sid, the newest there
#	  is) with the libraries that it needs, below DIR, beside those of this
#	  machine, which stay as they are.  DIR/pgbackrest runs it.
#
# Packages come by apt, from a configuration of its own, and are unpacked, not
# installed.  Needs patchelf: the program is to find its libraries by itself,
# for a script around it would be measured, too.

set -euo pipefail

dir=$(realpath -m "$1")
suite=${2:-sid}

fail()
{
	echo "newer_pgbackrest.sh: $*" >&2
	exit 1
}

# The mirror that this machine uses.
mirror()
{
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
		grep -m 1 '/debian/\?$' || fail "apt knows no mirror of Debian here"
}

prepare_apt()
{
	local from

	from=$(mirror)
	mkdir -p "$dir"/apt/{lists,cache}/partial "$dir"/apt/cache/archives/partial
	: >"$dir/apt/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
		"$from $suite main" >"$dir/apt/sources.list"
	options=(
		-q
		-o "Dir::State::lists=$dir/apt/lists"
		-o "Dir::State::status=$dir/apt/status"
		-o "Dir::Etc::sourcelist=$dir/apt/sources.list"
		-o Dir::Etc::sourceparts=-
		-o "Dir::Cache=$dir/apt/cache"
		-o APT::Sandbox::User=root
	)
	apt-get "${options[@]}" update
}

# What these packages depend on, of what has libraries.
libraries_of()
{
	apt-cache "${options[@]}" depends --no-recommends --no-suggests \
		--no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
		sed -n 's/^ *\(Pre\)\?Depends: \(lib[^ <>]*\|zlib1g\)$/\2/p' | sort -u
}

# Downloads it and all the libraries below it, found level by level.
download_all()
{
	local wanted=pgbackrest all=pgbackrest

	while [ -n "$wanted" ]
	do
		wanted=$(libraries_of $wanted | grep -vxF "$(tr ' ' '\n' <<<"$all")" | paste -sd' ') || true
		all="$all $wanted"
	done
	cd "$dir/apt/cache"
	apt-get "${options[@]}" download $all
}

unpack_all()
{
	local package loader libraries

	for package in "$dir"/apt/cache/*.deb
	do
		dpkg-deb -x "$package" "$dir/root"
	done
	loader=$(find "$dir/root" -name 'ld-linux-*' | head -n 1)
	libraries=$(find "$dir/root" -name 'libc.so.6' -printf '%h\n' | head -n 1)
	[ -n "$loader" ] && [ -n "$libraries" ] || fail "no C library in $suite"
	# libraries may lie in /lib or /usr/lib, according to the release
	patchelf --set-interpreter "$loader" --force-rpath \
		--set-rpath "$(find "$dir/root" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)" \
		"$dir/root/usr/bin/pgbackrest"
	ln -sfn root/usr/bin/pgbackrest "$dir/pgbackrest"
}

command -v patchelf >/dev/null || fail "patchelf is not installed"
rm -rf "$dir"
mkdir -p "$dir"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { prepare_apt && download_all && unpack_all; } >"$log" 2>&1
then
	cat "$log" >&2
	fail "could not get pgBackRest of $suite"
fi
rm -rf "$dir/apt"
"$dir/pgbackrest" version
