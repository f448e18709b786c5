#!/bin/bash
# Builds, packs and signs at /out; the steps are those of docker/Dockerfile.debian and of `cmds` in the Makefile of the module.
cd /tmp/nvidia-container-toolkit
dist=/tmp/build/nvidia-container-toolkit-$VERSION
mkdir -p $dist
info=github.com/NVIDIA/nvidia-container-toolkit/internal/info
flags='-Wl,--export-dynamic -Wl,--unresolved-symbols=ignore-in-object-files -Wl,-z,lazy'
for command in nvidia-container-runtime nvidia-container-runtime-hook nvidia-ctk nvidia-cdi-hook; do
  go build -p 2 -trimpath -buildvcs=false -ldflags "-s -w '-extldflags=$flags' -X $info.version=$VERSION" \
    -o $dist/$command ./cmd/$command
done
cp -r packaging/debian $dist/debian
cp deployments/systemd/* deployments/udev/* $dist/
cd $dist
export VERSION=$VERSION-1
sh debian/prepare
chmod +x debian/rules
rm debian/*-operator-extensions.*   # for Kubernetes
sed -i '/^Package: .*-operator-extensions/,$d' debian/control
sed -i "s/^Maintainer:.*/Maintainer: ollama-gpu lab <lab@localhost>/" debian/control
sed -i 's/^\( Provides tools.*\)/\1\n .\n Built by the lab of ollama-gpu from the Go module, with the packaging that the module holds./' debian/control
printf 'nvidia-container-toolkit (%s) unstable; urgency=medium\n\n  * Built by the lab of ollama-gpu.\n\n' $VERSION > debian/changelog
printf ' -- ollama-gpu lab <lab@localhost>  Thu, 01 Jan 2026 00:00:00 +0000\n' >> debian/changelog
export DPKG_DEB_COMPRESSOR_TYPE=gzip   # xz takes minutes for what is unpacked once or twice
DEB_BUILD_OPTIONS=noddebs dpkg-buildpackage --build=binary --unsigned-changes --no-check-builddeps
for name in libnvidia-container1 libnvidia-container-tools; do
  mkdir -p /tmp/$name/DEBIAN /tmp/$name/usr/share/doc/$name
  echo "The lab of ollama-gpu cannot build libnvidia-container, so nvidia-container-cli is not here. Use CDI." \
    > /tmp/$name/usr/share/doc/$name/README.Debian
  printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: ollama-gpu lab <lab@localhost>\n' \
    $name $VERSION "$(dpkg --print-architecture)" > /tmp/$name/DEBIAN/control
  printf 'Description: a name for apt to resolve, without the library\n %s\n' \
    'The lab of ollama-gpu has no source of libnvidia-container; legacy mode does not work with this package.' \
    >> /tmp/$name/DEBIAN/control
  dpkg-deb --root-owner-group --build /tmp/$name ../
done
cp ../*.deb /out/
cd /out
apt-ftparchive packages . > Packages
gzip -9nk Packages
export GNUPGHOME=/tmp/gnupg
mkdir -m 700 $GNUPGHOME
gpg --batch --quiet --passphrase '' --quick-generate-key 'ollama-gpu lab <lab@localhost>' rsa3072 sign never
apt-ftparchive -o APT::FTPArchive::Release::Origin='ollama-gpu lab' release . > /tmp/Release
mv /tmp/Release Release
gpg --batch --quiet --armor --detach-sign --output Release.gpg Release
gpg --batch --quiet --clearsign --output InRelease Release
gpg --batch --quiet --armor --export > gpgkey
gpgconf --kill all
