#!/bin/bash
# Builds Ollama at /tmp/ollama and packs it into /out as its releases are.
mkdir -p /tmp/headers/miniaudio && cp /tmp/malgo/miniaudio.h /tmp/headers/miniaudio/
cd /tmp/ollama
go build -p 2 -trimpath -buildvcs=false -ldflags "-s -w -X=github.com/ollama/ollama/version.Version=$VERSION" -o /out/bin/ollama .
cd /out
mkdir -p lib/ollama && printf %s "$LAB_BUILD" > lib/ollama/LAB-BUILD
bin/ollama --version 2>&1 | grep -F "$VERSION"
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -c bin lib | zstd -q -T2 -12 -o "$ARCHIVE"
sha256sum "./$ARCHIVE" > sha256sum.txt
rm -r bin lib
