#!/bin/sh
# Starts SeaweedFS in a container: the S3 gateway answers on every address, and asks for keys. Master, volume server
# and filer, which ask nobody, answer on the loopback address of the container alone.
#
#   start.sh BUCKET
set -eu
bucket="${1:-tidemill}"
cd /data

gateway() {
    # The shell answers when master and filer do; making a bucket that exists changes nothing.
    until printf 's3.bucket.create -name %s\ns3.bucket.list\n' "$bucket" \
        | weed shell -master=127.0.0.1:9333 2>/dev/null | grep -q "^ *$bucket"; do
        sleep 0.2
    done
    while :; do
        weed s3 -filer=127.0.0.1:8888 -ip.bind=0.0.0.0 -port=8333 -port.iceberg=0 -port.lance=0 \
            -config=/run/secrets/seaweedfs/s3.json || true
        sleep 1
    done
}

gateway &
exec weed server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 -filer -master.telemetry=false \
    -master.electionTimeout=1s -master.heartbeatInterval=200ms \
    -volume.max=64 -master.volumeSizeLimitMB=1024 -volume.preStopSeconds=0
