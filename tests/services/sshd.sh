#!/bin/bash
#
# sshd.sh setup DIR            make keys and configuration in DIR
# sshd.sh run DIR PORT         the same, then be the server (in the foreground)
# sshd.sh start DIR PORT       the same in the background, until it answers
# sshd.sh stop DIR             end what start began
#
# An OpenSSH server on a loopback port for tests, with SFTP, as the user that
# calls this.  DIR then holds
#
#	host_ed25519 host_ecdsa host_rsa        keys of the server
#	fingerprint fingerprint_ecdsa           SHA256:... of the first two
#	known_hosts                             the first one, for this port
#	id_ed25519 id_ecdsa id_rsa id_phrase    keys that may log in; the passphrase
#	                                        of the last one is in phrase
#	id_stranger                             one that may not
#
# SSHD_SFTP is another program for SFTP, SSHD_HOST_KEYS another list of keys,
# SSHD_OPTIONS more lines of configuration.

set -euo pipefail

sshd=/usr/sbin/sshd

fail()
{
	echo "sshd.sh: $*" >&2
	exit 1
}

make_key()
{
	[ -f "$dir/$1" ] || ssh-keygen -q -C test -f "$dir/$1" "${@:2}"
}

setup()
{
	[ -x "$sshd" ] || fail "no $sshd: install the package openssh-server"
	mkdir -p "$dir"
	chmod 700 "$dir"
	make_key host_ed25519 -t ed25519 -N ''
	make_key host_ecdsa -t ecdsa -b 256 -N ''
	make_key host_rsa -t rsa -b 2048 -N ''
	make_key id_ed25519 -t ed25519 -N ''
	make_key id_ecdsa -t ecdsa -b 256 -N ''
	make_key id_rsa -t rsa -b 2048 -N ''
	make_key id_phrase -t ed25519 -N 'open sesame'
	make_key id_stranger -t ed25519 -N ''
	(umask 077 && echo 'open sesame' >"$dir/phrase")
	cat "$dir"/id_{ed25519,ecdsa,rsa,phrase}.pub >"$dir/authorized_keys"
	fingerprint host_ed25519 >"$dir/fingerprint"
	fingerprint host_ecdsa >"$dir/fingerprint_ecdsa"
}

fingerprint()
{
	ssh-keygen -lf "$dir/$1.pub" | cut -d ' ' -f 2
}

# StrictModes looks at all directories above, of which /tmp is one.
configure()
{
	local key

	echo "[127.0.0.1]:$port $(cut -d ' ' -f 1,2 "$dir/host_ed25519.pub")" \
		>"$dir/known_hosts"
	{
		cat <<-END
			Port $port
			ListenAddress 127.0.0.1
			PidFile none
			AuthorizedKeysFile $dir/authorized_keys
			PasswordAuthentication no
			KbdInteractiveAuthentication no
			PermitRootLogin prohibit-password
			UsePAM no
			StrictModes no
			MaxStartups 200
			LogLevel VERBOSE
			Subsystem sftp ${SSHD_SFTP:-internal-sftp}
		END
		for key in ${SSHD_HOST_KEYS:-host_ed25519 host_ecdsa host_rsa}
		do
			echo "HostKey $dir/$key"
		done
		echo "${SSHD_OPTIONS:-}"
	} >"$dir/sshd_config"
}

run()
{
	setup
	configure
	[ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
	exec "$sshd" -D -e -f "$dir/sshd_config" 2>>"$dir/sshd.log" </dev/null
}

answers()
{
	(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

start()
{
	local tries

	setsid "$0" run "$dir" "$port" &
	echo $! >"$dir/sshd.pid"
	for tries in {1..200}
	do
		answers && return
		kill -0 "$(cat "$dir/sshd.pid")" 2>/dev/null || break
		sleep 0.05
	done
	cat "$dir/sshd.log" >&2
	fail "the server does not answer"
}

stop()
{
	local pid

	pid=$(cat "$dir/sshd.pid")
	kill -CONT -- "-$pid" 2>/dev/null || true
	kill -KILL -- "-$pid" 2>/dev/null || true
	rm -f "$dir/sshd.pid"
}

[ $# -ge 2 ] || fail "usage: setup DIR | run DIR PORT | start DIR PORT | stop DIR"
dir=$2
port=${3:-22}
case $1 in
	setup | run | stop)
		"$1"
		;;
	start)
		setup
		start
		;;
	*)
		fail "unknown action \"$1\""
		;;
esac
