#!/bin/sh
# Installs the SSM agent, which the connection to the builder needs. Debian's image does not have it; Ubuntu's and Amazon Linux's do.
set -eu
! command -v apt-get >/dev/null || command -v amazon-ssm-agent >/dev/null || [ -d /snap/amazon-ssm-agent ] || {
  address="https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent/latest/debian_$(dpkg --print-architecture)/amazon-ssm-agent.deb"
  python3 -c 'import sys, urllib.request; urllib.request.urlretrieve(sys.argv[1], "/tmp/agent.deb")' "$address"
  dpkg --install /tmp/agent.deb
  rm /tmp/agent.deb
  systemctl enable --now amazon-ssm-agent
}
