#!/bin/bash
# Has the Ollama of /release make a model of /in/model.gguf, in a store at /out; the model has to answer.
mkdir /tmp/ollama && zstd -q -d -c "/release/$ARCHIVE" | tar -x -C /tmp/ollama
export PATH=/tmp/ollama/bin:$PATH OLLAMA_MODELS=/out OLLAMA_HOST=127.0.0.1:11434
ollama serve > /tmp/serve.log 2>&1 &
trap 'kill %1; wait' EXIT
for attempt in $(seq 100); do ollama list > /dev/null 2>&1 && break; sleep 0.2; done
printf %s "$MODELFILE" > /tmp/Modelfile
ollama create "$MODEL" -f /tmp/Modelfile || { cat /tmp/serve.log; exit 1; }
ollama run "$MODEL" 'The capital of France is' < /dev/null | grep '[a-z]' || { cat /tmp/serve.log; exit 1; }
