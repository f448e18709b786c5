# Runs inside the data tier: copies a server's data into the vault and back. For the running server it takes PostgreSQL's
# base backup, with roles and settings, as in a snapshot of RDS; the files of a stopped server are copied.
set -euo pipefail
verb=$1; shift
case $verb in
take) # SERVER POINT: prints the size in bytes
  partial=/vault/.$2
  rm -rf "$partial"
  install -d -o postgres -g postgres -m 700 "$partial"
  if [ "$1" = "$DATABASE" ]; then
    setpriv --reuid=postgres --regid=postgres --init-groups /usr/lib/postgresql/*/bin/pg_basebackup \
      --pgdata="$partial" --checkpoint=fast --wal-method=stream --no-password
  else
    cp -a "/data/databases/$1/." "$partial"
  fi
  mv "$partial" "/vault/$2"
  du -sb "/vault/$2" | cut -f1
  ;;
give) # POINT SERVER
  [ -s "/vault/$1/PG_VERSION" ] || { echo "the vault holds no $1" >&2; exit 1; }
  partial=/data/databases/.$2
  rm -rf "$partial"
  cp -a "/vault/$1" "$partial"
  mv "$partial" "/data/databases/$2"
  ;;
keep) # FOLDER NAME...: removes everything else in the folder except the running server
  folder=$1; shift
  [ -d "$folder" ] || exit 0
  for name in $(ls -A "$folder"); do
    case " $* $DATABASE " in *" $name "*) ;; *) rm -rf "${folder:?}/$name"; echo "$name" ;; esac
  done
  ;;
esac
