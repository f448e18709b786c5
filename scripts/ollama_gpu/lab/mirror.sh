#!/bin/bash
# Both or none: when one of the two ends, the container ends, and Docker starts it anew.
docker-registry serve /etc/docker/registry/config.yml &
nginx -c /etc/lab/nginx.conf -g 'daemon off;' &
wait -n
exit 1
