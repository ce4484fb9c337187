#!/bin/bash
#
# rgw.sh start DIR [CERTIFICATES KEY] | stop DIR
# rgw.sh gateway-stop DIR | gateway-start DIR
#	  A Ceph cluster of one monitor, one OSD in memory and an S3 gateway on
#	  loopback ports that are free, as any user.  The gateway alone can be
#	  killed and started again: what is stored stays.
#
# It ends by itself when the process that called this script has gone.
#
# DIR is made anew.  With CERTIFICATES (chain, PEM) the gateway speaks TLS at
# a second port.  RGW_BYTES is how much it holds (2 GB).  What a client needs is in DIR/env as NAME=VALUE lines:
# S3_PORT, S3_TLS_PORT, S3_ACCESS_KEY, S3_SECRET_KEY; DIR/*.pid are the
# processes, and DIR/admin runs radosgw-admin on it.

set -euo pipefail

access_key=testaccess1
secret_key=testsecretkey0123456789abcdefghijklmnopq

fail()
{
	echo "rgw.sh: $*" >&2
	exit 1
}

# Is nobody listening at one of these ports?
are_free()
{
	local port

	for port in "$@"
	do
		if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
		then
			return 1
		fi
	done
}

# The first of 40 ports in a row; most of them are for the OSD.
choose_ports()
{
	local try base

	for try in $(seq 50)
	do
		base=$((20000 + RANDOM % 10000))
		if are_free $(seq $base $((base + 39)))
		then
			echo $base
			return
		fi
	done
	fail "could not find free ports"
}

write_configuration()
{
	local frontend="beast endpoint=127.0.0.1:$port tcp_nodelay=1"

	if [ -n "$certificates" ]
	then
		frontend+=" ssl_endpoint=127.0.0.1:$tls_port"
		frontend+=" ssl_certificate=$certificates ssl_private_key=$key"
	fi
	cat >"$dir/ceph.conf" <<-END
		[global]
		fsid = $fsid
		mon host = [v2:127.0.0.1:$base,v1:127.0.0.1:$((base + 1))]
		public addr = 127.0.0.1
		cluster addr = 127.0.0.1
		auth cluster required = cephx
		auth service required = cephx
		auth client required = cephx
		auth allow insecure global id reclaim = false
		keyring = $dir/keyring
		run dir = $dir
		admin socket =
		log file = $dir/log/\$name.log
		mon cluster log file = $dir/log/cluster.log
		log to stderr = false
		err to stderr = true
		crash dir = $dir/log
		osd pool default size = 1
		osd pool default min size = 1
		osd pool default pg num = 4
		osd pool default pgp num = 4
		osd pool default pg autoscale mode = off
		osd crush chooseleaf type = 0
		mon allow pool size one = true
		mon max pg per osd = 1000
		mon data avail warn = 1
		mon data avail crit = 0
		# else each change of the maps takes a second
		paxos propose interval = 0.02
		paxos min wait = 0.01
		[mon]
		mon data = $dir/mon
		mon initial members = a
		[osd]
		osd data = $dir/osd
		osd objectstore = memstore
		memstore device bytes = ${RGW_BYTES:-2147483648}
		osd class load list = *
		osd class default list = *
		ms bind port min = $((base + 10))
		ms bind port max = $((base + 39))
		[client]
		rgw data = $dir/rgw
		rgw frontends = $frontend
		rgw dns name = localhost
		rgw enable usage log = false
		rgw rados pool pg num min = 4
		rgw lc debug interval = -1
		rgw thread pool size = 32
	END
	cat >"$dir/admin" <<-END
		#!/bin/sh
		exec radosgw-admin -c '$dir/ceph.conf' -n client.rgw "\$@"
	END
	chmod +x "$dir/admin"
}

make_keys()
{
	local ring="$dir/keyring"

	monmaptool --create --fsid "$fsid" \
		--addv a "[v2:127.0.0.1:$base,v1:127.0.0.1:$((base + 1))]" "$dir/monmap"
	ceph-authtool --create-keyring "$ring" --gen-key -n mon. --cap mon 'allow *'
	ceph-authtool "$ring" --gen-key -n client.admin \
		--cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
	ceph-authtool "$ring" --gen-key -n client.rgw \
		--cap mon 'allow rw' --cap osd 'allow rwx'
	ceph-authtool "$ring" --gen-key -n osd.0 --cap mon 'allow profile osd' \
		--cap osd 'allow *' --cap mgr 'allow profile osd'
}

# run NAME PROGRAM ARGUMENT...: in the background, detached from the caller.
run()
{
	local name=$1

	shift
	setsid "$@" -f >"$dir/log/$name.out" 2>&1 </dev/null &
	echo $! >"$dir/$name.pid"
}

start_daemons()
{
	local uuid conf="$dir/ceph.conf"

	ceph-mon -c "$conf" -i a --mkfs --monmap "$dir/monmap" \
		--keyring "$dir/keyring"
	run mon ceph-mon -c "$conf" -i a
	uuid=$(cat /proc/sys/kernel/random/uuid)
	timeout 60 ceph -c "$conf" osd new "$uuid"
	ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$uuid"
	run osd ceph-osd -c "$conf" -i 0
	run_gateway
}

run_gateway()
{
	run rgw radosgw -c "$dir/ceph.conf" -n client.rgw --keyring="$dir/keyring"
}

gateway_start()
{
	port=$(sed -n 's/^S3_PORT=//p' "$dir/env")
	run_gateway
	wait_for_gateway
}

gateway_stop()
{
	kill -9 "$(cat "$dir/rgw.pid")"
}

wait_for_gateway()
{
	local try

	for try in $(seq 600)
	do
		if curl -fs -o /dev/null "http://127.0.0.1:$port/"
		then
			return
		fi
		kill -0 "$(cat "$dir/rgw.pid")" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 20 "$dir"/log/*.out >&2
	fail "the gateway does not answer"
}

start()
{
	local program

	for program in ceph-mon ceph-osd radosgw radosgw-admin ceph curl
	do
		command -v $program >/dev/null ||
			fail "$program is not installed; tests/setup.sh installs it"
	done
	rm -rf "$dir"
	mkdir -p "$dir"/{mon,osd,rgw,log}
	fsid=$(cat /proc/sys/kernel/random/uuid)
	base=$(choose_ports)
	port=$((base + 2))
	tls_port=$((base + 3))
	write_configuration
	if ! { make_keys && start_daemons; } >"$dir/log/start.out" 2>&1
	then
		tail -n 20 "$dir/log/start.out" >&2
		stop
		fail "could not start Ceph"
	fi
	wait_for_gateway
	"$dir/admin" user create --uid=test --display-name=test \
		--access-key=$access_key --secret-key=$secret_key >/dev/null \
		2>>"$dir/log/start.out"
	cat >"$dir/env" <<-END
		S3_PORT=$port
		S3_TLS_PORT=$tls_port
		S3_ACCESS_KEY=$access_key
		S3_SECRET_KEY=$secret_key
	END
	setsid "$0" watch "$dir" $PPID >/dev/null 2>&1 </dev/null &
}

# The caller may be killed before it says stop.
watch()
{
	while [ -f "$dir/mon.pid" ] && kill -0 "$1" 2>/dev/null
	do
		sleep 1
	done
	stop
}

stop()
{
	local name

	for name in rgw osd mon
	do
		[ -f "$dir/$name.pid" ] || continue
		kill -9 "$(cat "$dir/$name.pid")" 2>/dev/null || true
		rm -f "$dir/$name.pid"
	done
}

[ $# -ge 2 ] || fail "usage: see the head of this file"
action=$1
dir=$2
certificates=${3:-}
key=${4:-}

case $action in
	start) start ;;
	stop) stop ;;
	gateway-start) gateway_start ;;
	gateway-stop) gateway_stop ;;
	watch) watch "$3" ;;
	*) fail "unknown action \"$action\"" ;;
esac
