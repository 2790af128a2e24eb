#!/bin/sh
# A private authority, and a certificate for the webhook signed by it, with OpenSSL: for --tls-cert and --tls-key.
#   certs/private-ca.sh DIRECTORY [NAMESPACE [SERVICE]]
# DIRECTORY must not be in git. An authority that is there already signs again; its key is all that has to be kept safe.
set -eu
umask 077

if [ $# -lt 1 ]; then
  echo "usage: $0 DIRECTORY [NAMESPACE [SERVICE]]" >&2
  exit 2
fi
directory=$1
namespace=${2:-sidestep-system}
service=${3:-sidestep}
host=$service.$namespace
days=90

mkdir -p "$directory"
cd "$directory"
key() {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

if [ ! -e ca.key ]; then
  key ca.key
  openssl req -x509 -new -key ca.key -sha256 -days 1825 -out ca.crt -subj "/CN=sidestep private CA $(date +%s)" \
    -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign
fi

key tls.key.new
openssl req -new -key tls.key.new -subj /CN=sidestep -out tls.csr
cat > tls.ext <<EOF
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName=DNS:$service,DNS:$host,DNS:$host.svc,DNS:$host.svc.cluster.local,DNS:localhost,IP:127.0.0.1
EOF
openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -sha256 -days "$days" -extfile tls.ext -out tls.crt.new
openssl verify -x509_strict -purpose sslserver -verify_hostname "$host.svc" -CAfile ca.crt tls.crt.new
# Both at once, or nearly so: whoever watches reads a pair that fits, or waits for it.
cat ca.crt >> tls.crt.new
mv tls.key.new tls.key
mv tls.crt.new tls.crt
rm tls.csr tls.ext
echo "$directory: tls.crt and tls.key for $host.svc, for $days days; the caBundle is ca.crt"
