#!/bin/bash
# When one of the two ends, the container ends, and Docker restarts it.
docker-registry serve /etc/docker/registry/config.yml &
nginx -c /etc/lab/nginx.conf -g 'daemon off;' &
wait -n
exit 1
