#!/bin/sh
# Writes the alerts of deploy/prometheus/alerts.yaml into the PrometheusRule for Kubernetes.
set -eu
cd "$(dirname "$0")/.."

rule=deploy/k8s/components/monitoring/prometheusrule.yaml
temporary=$(mktemp)
trap 'rm -f "$temporary"' EXIT
{
    sed '/^spec:/q' "$rule"
    awk '/^groups:/ { found = 1 } found { print ($0 == "" ? "" : "  " $0) }' deploy/prometheus/alerts.yaml
} >"$temporary"
cat "$temporary" >"$rule"
