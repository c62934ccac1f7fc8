#!/bin/sh
# Makes the secrets of infra/compose.yaml in compose/secrets, and beside compose.yaml the directories `people` (what people bring along
# and take away again) and `backups`; all for user 1000, as whom the containers run. What is there already stays: put a certificate of
# your own as smtp.crt and smtp.key before, or instead. Usage: sh compose/make-secrets.sh [HOST NAME]
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets/credentials ../people ../backups
cd secrets

secret() {
  [ -s "$1" ] || openssl rand -hex 32 > "$1"
}
secret passphrase      # of the credentials' keys
secret slot            # opens the key store where SEALPOST_SLOT is `file`: keep a copy elsewhere
secret log-hash-key    # turns addresses in logs into hashes
secret redis-password

# Redis gets hashes only, which are worth nothing without the passwords, so its own user may read them. `default` must stay on and
# may do everything: Redis 7.0 reads its append-only file back with the rights of that user, and drops what they do not cover
# (measured). Nobody knows its password.
hash=$(tr -d '\n' < redis-password | openssl dgst -sha256 -r | cut -d' ' -f1)
[ -s redis.acl ] || {
  printf 'user default on #%s ~* &* +@all\n' "$(openssl rand -hex 32)"
  printf 'user sealpost on #%s ~* &* +@all -@dangerous +info +config|get +acl|getuser\n' "$hash"
} > redis.acl
chmod 444 redis.acl

if [ ! -s smtp.crt ]; then
  name=${1:-$(sed -n 's/^SEALPOST_HOSTNAME=//p' ../../.env 2>/dev/null || true)}
  [ -n "$name" ] || { echo 'Name the host: sh compose/make-secrets.sh mail.example.com' >&2; exit 64; }
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 825 -subj "/CN=$name" \
    -addext "subjectAltName=DNS:$name" -keyout smtp.key -out smtp.crt 2>/dev/null
  echo "smtp.crt is self-signed for $name; replace it and smtp.key by a certificate that senders can verify." >&2
fi

# Places for what `init` and `backup quorum` make: docker would make a directory of a file that is not there.
for role in ingress crypto-worker egress operator key-service; do
  touch "credentials/$role.crt" "credentials/$role.key"
done
touch credentials/ca.crt backup.recipient.json

[ "$(id -u)" = 0 ] && chown -R 1000:1000 . ../../people ../../backups
[ "$(id -u)" = 0 ] || [ "$(id -u)" = 1000 ] || {
  echo 'Give the files to user 1000: sudo chown -R 1000:1000 compose/secrets people backups' >&2
  exit 1
}
