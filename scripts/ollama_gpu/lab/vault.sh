# Run inside the data tier: a server's data into the vault and back. PostgreSQL's own base backup of the one that is
# served, with its roles and settings, as a snapshot of RDS has them; one that stands still is copied.
set -euo pipefail
verb=$1; shift
case $verb in
take) # SERVER POINT: prints the bytes
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
keep) # FOLDER NAME...: whatever else lies in it goes, but for the server that is served
  folder=$1; shift
  [ -d "$folder" ] || exit 0
  for name in $(ls -A "$folder"); do
    case " $* $DATABASE " in *" $name "*) ;; *) rm -rf "${folder:?}/$name"; echo "$name" ;; esac
  done
  ;;
esac
