#!/bin/bash
#
# certificates.sh DIR
#	  An authority and certificates for tests of TLS, in DIR:
#	  ca.crt			the authority
#	  server.crt .key	for localhost and suite.localhost, not for 127.0.0.1;
#						the chain is in server.crt
#	  expired.crt .key	the same, but of the year 2020
#	  other-ca.crt		another authority, which signed nothing

set -euo pipefail

dir=$1
mkdir -p "$dir"
cd "$dir"

make_authority()
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout "$1.key" -out "$1.crt" -days 3650 -subj "/CN=Test $1" \
		-addext 'basicConstraints=critical,CA:TRUE' \
		-addext 'keyUsage=critical,keyCertSign,cRLSign'
}

# make_certificate NAME FROM TO (YYYYMMDDhhmmssZ)
make_certificate()
{
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout "$1.key" -out "$1.csr" -subj '/CN=localhost'
	openssl ca -batch -config ca.conf -in "$1.csr" -out "$1.leaf" -notext \
		-startdate "$2" -enddate "$3"
	cat "$1.leaf" ca.crt >"$1.crt"
}

cat >ca.conf <<'END'
[ca]
default_ca = test
[test]
database = index.txt
rand_serial = yes
new_certs_dir = .
certificate = ca.crt
private_key = ca.key
default_md = sha256
policy = any
unique_subject = no
x509_extensions = server
[any]
commonName = supplied
[server]
subjectAltName = DNS:localhost, DNS:suite.localhost
extendedKeyUsage = serverAuth
END

{
	: >index.txt
	make_authority ca
	make_authority other-ca
	make_certificate server "$(date -u -d yesterday +%Y%m%d000000Z)" \
		"$(date -u -d 'now + 800 days' +%Y%m%d000000Z)"
	make_certificate expired 20200101000000Z 20200201000000Z
} >log.out 2>&1 || {
	cat log.out >&2
	exit 1
}
