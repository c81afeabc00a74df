#!/bin/sh
# Makes an authority and a certificate for each node, in the folder given. Names of nodes besides nats-1, nats-2, nats-3, under
# which clients reach all of them, may follow:
#
#   deploy/nats/cluster/make-certificates.sh certificates nats.example.org
#
# Files that exist are kept, so a second run only makes what is missing: remove a node's certificate to have it renewed. ca.key
# can make new nodes; keep it off the servers.
set -eu
umask 077

folder=${1:?"usage: $0 FOLDER [NAME...]"}
shift
mkdir -p "$folder"
cd "$folder"

if [ ! -e ca.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj "/CN=NATS nodes" -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.pem
fi

for node in nats-1 nats-2 nats-3; do
  [ -e "$node.pem" ] && continue
  # Loopback is for tools on the node itself.
  names="DNS:$node,DNS:localhost,IP:127.0.0.1"
  for name in "$@"; do names="$names,DNS:$name"; done
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -subj "/CN=$node" -keyout "$node.key" -out "$node.csr"
  # A node is the server for its clients and for some routes, and the client for the other routes.
  extensions=$(mktemp)
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n' "$names" >"$extensions"
  openssl x509 -req -in "$node.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -extfile "$extensions" -out "$node.pem"
  rm -f "$node.csr" "$extensions"
done

# Clients check nodes by it; it is no secret.
chmod 644 ca.pem
