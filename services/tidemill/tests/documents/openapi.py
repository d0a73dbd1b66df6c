"""The interfaces over HTTP: their reference from proto/openapi.yaml, and whether a running instance keeps to it.

Usage: openapi.py OPENAPI_YAML reference
       openapi.py OPENAPI_YAML check RUN_JSON
"""

import http.client
import json
import struct
import sys
import urllib.parse

import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

METHODS = ("get", "post")


def resolve(document, node):
    while isinstance(node, dict) and "$ref" in node:
        target = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item, item[method]


def kind(document, schema):
    if "$ref" in schema:
        name, target = schema["$ref"].rsplit("/", 1)[1], resolve(document, schema)
        return f"[{name}](#http-{name.lower()})" if target.get("type") == "object" else kind(document, target)
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {kind(document, schema['items'])}"
    return schema.get("type", "any")


def reference(document):
    lines = [document["info"]["description"], "", "| call | what | answers |", "|---|---|---|"]
    for path, method, item, operation in operations(document):
        answers = ", ".join(sorted(operation["responses"]))
        lines.append(f"| `{method.upper()} {path}` | {operation['summary']} | {answers} |")
    lines += ["", "| parameter | in | what |", "|---|---|---|"]
    for parameter in document["components"]["parameters"].values():
        lines.append(f"| `{parameter['name']}` | {parameter['in']} | {parameter['description']} |")
    lines += ["", "| body of an answer | what |", "|---|---|"]
    for name, response in document["components"]["responses"].items():
        lines.append(f"| {name} | {response['description']} |")
    for name, schema in document["components"]["schemas"].items():
        if schema.get("type") != "object":
            continue
        lines += ["", f'#### <a id="http-{name.lower()}"></a>{name}', "", "| field | type | | what |", "|---|---|---|---|"]
        for field, inner in schema["properties"].items():
            needed = "required" if field in schema.get("required", []) else ""
            lines.append(f"| `{field}` | {kind(document, inner)} | {needed} | {inner.get('description', '')} |")
    return "\n".join(lines) + "\n"


def ask(url, method, body=None, headers=None):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request(method.upper(), parts.path, body, headers or {})
    except (BrokenPipeError, ConnectionResetError):
        # Refused before the whole body was sent; the answer is there all the same.
        pass
    answer = connection.getresponse()
    return answer.status, dict(answer.headers), answer.read()


class Checker:
    """Asks an instance and holds each answer against the document."""

    def __init__(self, document, run):
        self.document = document
        endpoints = run["endpoints"]
        self.hosts = {
            "predictions": endpoints["serving_http"],
            "events": endpoints["ingestion"],
            "process": endpoints["admin"],
        }
        self.seen = set()

    def call(self, path, method, expected, body=None, headers=None, **names):
        operation = self.document["paths"][path][method]
        url = self.hosts[operation["tags"][0]] + path.format(**names)
        status, answered, content = ask(url, method, body, headers)
        assert status == expected, (method, url, status, content[:500])
        response = resolve(self.document, operation["responses"][str(status)])
        self.seen.add((path, method))
        media = {name.lower(): value for name, value in answered.items()}["content-type"].split(";")[0]
        assert media in response["content"], (url, media)
        schema = response["content"][media]["schema"]
        if media == "application/octet-stream":
            return content
        value = json.loads(content) if media.endswith("json") else content.decode()
        Draft202012Validator({**schema, "components": self.document["components"]}).validate(value)
        return value


def check(document, run):
    checker = Checker(document, run)
    call = checker.call
    server = call("/v2", "get", 200)
    call("/v2/health/live", "get", 200)
    call("/v2/health/ready", "get", 200)
    for path in ("/livez", "/readyz", "/metrics"):
        call(path, "get", 200)
    model = "disruption"
    about = call("/v2/models/{model}", "get", 200, model=model)
    version = about["versions"][0]
    infer(call, "/v2/models/{model}/infer", {"model": model})
    infer(call, "/v2/models/{model}/versions/{version}/infer", {"model": model, "version": version})
    call("/v2/models/{model}/ready", "get", 200, model=model)
    call("/v2/models/{model}/versions/{version}", "get", 200, model=model, version=version)
    call("/v2/models/{model}/versions/{version}/ready", "get", 200, model=model, version=version)
    publish(call)
    # What does not exist, and what is not ready.
    call("/v2/models/{model}", "get", 404, model="no-such-model")
    call("/v2/models/{model}/ready", "get", 404, model="no-such-model")
    call("/v2/models/{model}/versions/{version}", "get", 404, model=model, version="0" * 12)
    call("/v2/models/{model}/versions/{version}/ready", "get", 503, model=model, version="0" * 12)
    missing = [o[:2] for o in operations(document) if o[:2] not in checker.seen]
    assert not missing, f"documented, not tried: {missing}"
    return {"calls": len(checker.seen), "server": server["name"]}


def publish(call):
    path, json_type = "/v1/events/{source}", {"content-type": "application/json"}
    row = {"flight_id": 999999, "departed_at": "2013-03-01T06:00:00Z", "sched_dep_at": "2013-03-01T06:00:00Z"}
    row |= {"carrier": "UA", "flight": 1, "origin": "JFK", "dest": "SFO", "dep_delay_min": 0}
    keyed = {**json_type, "idempotency-key": "openapi-1"}
    body = json.dumps([row, {"flight_id": "7"}]).encode()
    taken = call(path, "post", 202, body, keyed, source="departures")
    assert (taken["rows"], taken["refused_rows"], taken["ids"]) == (1, 1, ["openapi-1"]), taken
    assert call(path, "post", 202, body, keyed, source="departures")["known_already"] == 1
    event = {"specversion": "1.0", "id": "openapi-2", "source": "/openapi", "type": "observed", "data": row}
    batch = {"content-type": "application/cloudevents-batch+json"}
    taken = call(path, "post", 202, json.dumps([event, {**event, "id": "openapi-3"}]).encode(), batch, source="departures")
    assert (taken["events"], taken["rows"]) == (2, 2), taken
    # Refusals.
    call(path, "post", 404, body, json_type, source="no-such-source")
    call(path, "post", 403, body, {**json_type, "origin": "https://site.example"}, source="departures")
    call(path, "post", 422, b'{"flight_id": "7"}', json_type, source="departures")
    call(path, "post", 400, json.dumps([{**event, "specversion": "0.3"}]).encode(), batch, source="departures")
    call(path, "post", 415, b"x", {"content-type": "text/html"}, source="departures")
    call(path, "post", 413, b" " * (9 << 20), json_type, source="departures")


def infer(call, path, names):
    features = [
        {"name": "dep_hour", "shape": [2], "datatype": "FP64", "data": [7, 19]},
        {"name": "carrier", "shape": [2], "datatype": "BYTES", "data": ["UA", "B6"]},
    ]
    answer = call(path, "post", 200, json.dumps({"id": "7", "inputs": features}).encode(), **names)
    scores = answer["outputs"][0]["data"]
    assert answer["id"] == "7" and len(scores) == 2 and all(0 < score < 1 for score in scores), answer
    # The same in binary form, both ways.
    raw = struct.pack("<2d", 7, 19)
    inputs = [{"name": "dep_hour", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": len(raw)}}, features[1]]
    head = json.dumps({"inputs": inputs, "outputs": [{"name": "score", "parameters": {"binary_data": True}}]}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    binary = call(path, "post", 200, head + raw, headers, **names)
    assert list(struct.unpack("<2d", binary[-16:])) == scores, (binary[-16:], scores)
    # Refusals.
    call(path, "post", 400, b"{", **names)
    call(path, "post", 400, json.dumps({"inputs": [dict(features[0], name="no_such_feature")]}).encode(), **names)
    call(path, "post", 404, json.dumps({"inputs": features}).encode(), **{**names, "model": "no-such-model"})
    call(path, "post", 415, b"x", {"content-encoding": "gzip"}, **names)
    call(path, "post", 413, b" " * (17 << 20), **names)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = yaml.safe_load(file)
    validate(document)
    if sys.argv[2] == "reference":
        print(reference(document), end="")
        return
    with open(sys.argv[3], encoding="utf-8") as file:
        print(json.dumps(check(document, json.load(file))))


main()
