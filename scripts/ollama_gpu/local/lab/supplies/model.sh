#!/bin/bash
# Has the Ollama of /release make the models of /in, in a store at /out: one that has to answer, one that has to embed.
mkdir /tmp/ollama && zstd -q -d -c "/release/$ARCHIVE" | tar -x -C /tmp/ollama
export PATH=/tmp/ollama/bin:$PATH OLLAMA_MODELS=/out OLLAMA_HOST=127.0.0.1:11434
ollama serve > /tmp/serve.log 2>&1 &
trap 'status=$?; [ "$status" = 0 ] || cat /tmp/serve.log; kill %1; wait' EXIT
for attempt in $(seq 100); do ollama list > /dev/null 2>&1 && break; sleep 0.2; done
printf %s "$CHAT_MODELFILE" > /tmp/chat
ollama create "$CHAT_MODEL" -f /tmp/chat
printf %s "$EMBEDDING_MODELFILE" > /tmp/embedding
ollama create "$EMBEDDING_MODEL" -f /tmp/embedding
# The files that the embedding model was converted from are in the store, too, but in no manifest.
for blob in /out/blobs/*; do name=${blob##*/}; grep -rq "${name/-/:}" /out/manifests || rm "$blob"; done
ollama run "$CHAT_MODEL" 'The capital of France is' < /dev/null | grep '[a-z]'
ollama run "$EMBEDDING_MODEL" 'The capital of France is' < /dev/null | grep '^\[-\?0\.[0-9]'
