"""Events over HTTP by the CloudEvents SDK and requests.

Usage: push.py URL every | one N | refused
"""

import io
import json
import sys

import pyarrow as pa
import requests
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent

PAGE = sys.argv[1] + "/v1/events/readings"


def reading(n):
    at = f"2024-01-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z"
    return {"n": n, "at": at, "meter": f"meter-{n}", "value": n / 2}


def post(body, headers):
    answer = requests.post(PAGE, data=body, headers=headers, timeout=30)
    assert answer.status_code == 202, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def twice(body, headers, rows):
    first, again = post(body, headers), post(body, headers)
    assert first["rows"] == again["rows"] == rows, (first, rows)
    assert first["known_already"] == 0 and again["known_already"] == first["events"], (first, again)
    return first["last_sequence"]


def event(n, data=None, kind="application/json"):
    attributes = {"type": "meters.reading", "source": "/meters/a 1", "id": f"id {n}%", "datacontenttype": kind}
    return CloudEvent(attributes, reading(n) if data is None else data)


def arrow(numbers):
    table = pa.Table.from_pylist([reading(n) for n in numbers])
    at = table.schema.get_field_index("at")
    instants = pa.array([1704067200000 + n * 1000 for n in numbers], pa.timestamp("ms", tz="UTC"))
    sink = io.BytesIO()
    table = table.set_column(at, "at", instants)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def every():
    rows = [reading(n) for n in range(0, 100)]
    key = {"content-type": "application/json", "idempotency-key": "0"}
    twice(json.dumps(rows), key, 100)
    lines = "\n".join(json.dumps(reading(n)) for n in range(100, 200))
    twice(lines, {"content-type": "application/x-ndjson", "idempotency-key": "100"}, 100)
    stream = "application/vnd.apache.arrow.stream"
    twice(arrow(range(200, 300)), {"content-type": stream, "idempotency-key": "200"}, 100)
    for n in range(300, 320):
        headers, body = to_binary(event(n))
        twice(body, headers, 1)
    for n in range(320, 340):
        headers, body = to_structured(event(n))
        twice(body, headers, 1)
    headers, body = to_binary(event(340, [reading(n) for n in range(340, 400)]))
    twice(body, headers, 60)
    headers, body = to_structured(event(400, arrow(range(400, 450)), stream))
    twice(body, headers, 50)
    batch = [json.loads(to_structured(event(n))[1]) for n in range(450, 500)]
    twice(json.dumps(batch), {"content-type": "application/cloudevents-batch+json"}, 50)
    print(500)


def one(n):
    headers, body = to_structured(event(n))
    print(twice(body, headers, 1))


def refused():
    key = {"authorization": "Bearer t0ken", "content-type": "application/json"}

    def ask(url=PAGE, body=b"{}", **headers):
        answer = requests.post(url, data=body, headers={**key, **headers}, timeout=30)
        assert answer.headers["content-type"] == "application/problem+json", answer.headers
        problem = answer.json()
        assert problem["status"] == answer.status_code and problem["type"].endswith(problem["code"]), problem
        assert problem["help"] == f"tidemill explain {problem['code']}"
        print(answer.status_code, problem["code"])

    ask(sys.argv[1] + "/v2/events")
    ask(authorization="Bearer other")
    ask(sys.argv[1] + "/v1/events/none")
    ask(body=b" " * (9 << 20))
    ask(**{"content-type": "text/html"})
    ask(**{"content-encoding": "gzip"})
    ask(**{"ce-specversion": "1.0", "ce-id": "%ff", "ce-source": "s", "ce-type": "t"})
    ask(body=b"[1]", **{"content-type": "application/cloudevents-batch+json"})
    ask(body=json.dumps([{**reading(1), "n": "x"}]).encode())
    ask(body=b"{")
    ask(body=b"ARROW", **{"content-type": "application/vnd.apache.arrow.stream"})


{"every": every, "one": lambda: one(int(sys.argv[3])), "refused": refused}[sys.argv[2]]()
