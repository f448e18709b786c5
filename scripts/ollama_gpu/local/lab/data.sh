#!/bin/bash
# PostgreSQL and Redis by TLS: secrets are files in /run/secrets, the certificate in /run/tls, data in /data.
# DATABASE is the server, a folder in /data/databases, whose data PostgreSQL serves. If it is empty, PostgreSQL does not run.
# Each server restarts alone when it ends, as a managed store does.
set -euo pipefail
data=/data/databases/$DATABASE
rm -f /run/data-is-up "$data/postmaster.pid"   # left by a killed container
restart_seconds=5   # a short restart of a managed store; its failover takes 30 to 120 s
bin=$(echo /usr/lib/postgresql/*/bin)
# setpriv executes the program, so a signal to $! reaches the server (a function's $! would be a shell).
as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups)
as_redis=(setpriv --reuid=redis --regid=redis --init-groups)

groupadd --force --system lab-tls
usermod --append --groups lab-tls postgres && usermod --append --groups lab-tls redis
install -d -g lab-tls -m 750 /run/lab-tls
install -g lab-tls -m 640 /run/tls/server.key /run/tls/server.crt /run/tls/ca.crt /run/lab-tls/

# Runs a server, and restarts it, until the script ends. ${1} is the signal for a clean shutdown.
keep() {
  local signal=$1 server ending=
  shift
  trap 'ending=yes; kill -"$signal" "$server" || true' TERM
  until [ -n "$ending" ]; do
    "$@" &
    server=$!
    wait "$server" || wait "$server" || true   # the first wait also ends with the trap's signal
    [ -n "$ending" ] || { echo "$1 has ended and restarts in $restart_seconds s"; sleep "$restart_seconds"; }
  done
}

serve_database() {
if [ ! -s "$data/PG_VERSION" ]; then
  install -d -o postgres -g postgres -m 700 "$data"
  "${as_postgres[@]}" "$bin/initdb" -D "$data" --locale=C.UTF-8 --encoding=UTF8 --auth-local=peer \
    --auth-host=scram-sha-256 > /dev/null
fi
cat > "$data/pg_hba.conf" <<'END'
local   all all      peer
local   replication all peer
hostssl all all all  scram-sha-256
END
install -d -o postgres -g postgres /run/postgresql
keep INT "${as_postgres[@]}" "$bin/postgres" -D "$data" -c listen_addresses='*' -c port=5432 \
  -c max_connections=400 -c ssl=on -c ssl_cert_file=/run/lab-tls/server.crt -c ssl_key_file=/run/lab-tls/server.key \
  -c log_connections=on &
database=$!
until "${as_postgres[@]}" "$bin/pg_isready" --quiet; do sleep 0.1; done
# As on RDS, the master user can create roles, databases and extensions. psql reads the password, so no argument contains it.
install -d -o postgres -g postgres -m 700 /run/lab-postgresql
install -o postgres -g postgres -m 400 /run/secrets/master_username /run/secrets/master_password /run/lab-postgresql/
"${as_postgres[@]}" psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 <<'END'
\set master `cat /run/lab-postgresql/master_username`
\set password `cat /run/lab-postgresql/master_password`
select format('create role %I', :'master') where not exists (select from pg_roles where rolname = :'master') \gexec
alter role :"master" login superuser password :'password';
END
}
database=
if [ -n "$DATABASE" ]; then serve_database; fi

install -d -o redis -g redis -m 700 /data/redis /run/lab-redis
umask 077
cat > /run/lab-redis/redis.conf <<END
port 0
tls-port 6379
tls-cert-file /run/lab-tls/server.crt
tls-key-file /run/lab-tls/server.key
tls-ca-cert-file /run/lab-tls/ca.crt
tls-auth-clients no
requirepass "$(cat /run/secrets/cache_token)"
dir /data/redis
save ""
appendonly yes
END
chown redis:redis /run/lab-redis/redis.conf
keep TERM "${as_redis[@]}" redis-server /run/lab-redis/redis.conf &
cache=$!

trap 'kill $database $cache; wait; exit 0' TERM INT
touch /run/data-is-up
wait
