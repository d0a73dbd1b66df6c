"""What others' programs make of our telemetry.

outside.py agent        prints the path of rotel's collector
outside.py metrics URL  reads a page of metrics with the Prometheus client's parser and prints its families as JSON
"""

import json
import pathlib
import sys
import urllib.request


def agent():
    import rotel

    print(pathlib.Path(rotel.__file__).parent / "rotel-agent", end="")


def metrics(url):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    with urllib.request.urlopen(url, timeout=30) as page:
        assert page.headers["content-type"].startswith("application/openmetrics-text"), page.headers
        text = page.read().decode()
    families = [
        {
            "name": family.name,
            "kind": family.type,
            "help": family.documentation,
            "labels": sorted({label for sample in family.samples for label in sample.labels} - {"le"}),
            "samples": len(family.samples),
        }
        for family in text_string_to_metric_families(text)
    ]
    json.dump(families, sys.stdout)


{"agent": agent, "metrics": metrics}[sys.argv[1]](*sys.argv[2:])
