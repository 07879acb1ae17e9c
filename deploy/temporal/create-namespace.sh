#!/bin/sh
# Waits until the server serves, and makes the namespace that TEMPORAL_NAMESPACE names where there is none.
set -eu
tries=60
until temporal operator cluster health >/dev/null 2>&1; do
  tries=$((tries - 1))
  if [ $tries -eq 0 ]; then
    temporal operator cluster health
    exit 1
  fi
  sleep 1
done
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
