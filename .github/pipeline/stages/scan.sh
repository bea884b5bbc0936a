#!/bin/sh
# In trivy's container: scan each image given as name=id. Exits with 42 for a finding and with 1 for a failed scan.
set -u
mkdir -p /report
status=0
for image; do
    name=${image%%=*}
    trivy image --quiet --scanners vuln,secret,misconfig --image-config-scanners misconfig,secret \
        --severity HIGH,CRITICAL --ignore-unfixed --ignorefile /.trivyignore --exit-code 42 \
        --format json --output "/report/$name.trivy.json" "${image#*=}"
    case $? in
    0) echo "$name: no findings" ;;
    42)
        status=42
        echo "$name:"
        trivy convert --quiet --format table "/report/$name.trivy.json" || exit 1
        ;;
    *) echo "$name could not be scanned"; exit 1 ;;
    esac
    trivy convert --quiet --format cyclonedx --output "/report/$name.cdx.json" "/report/$name.trivy.json" || exit 1
done
exit "$status"
