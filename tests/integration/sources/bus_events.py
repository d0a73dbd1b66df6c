"""Events as the CloudEvents SDK writes them, as headers and body of messages: one JSON object a line,
bodies in hexadecimal digits.

The SDK has no binding for this bus; headers and bodies are those that it makes for HTTP.
"""

import json

from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent


def reading(n):
    return {"n": n, "at": f"2024-01-01T00:00:{n:02}Z", "meter": f"meter-{n}", "value": n / 2}


def event(n, data=None, kind="application/json"):
    attributes = {
        "type": "meters.reading",
        "source": "/meters/ü 1",
        "id": f"id {n}%",
        "datacontenttype": kind,
        "time": "2024-01-01T00:00:00.123456+00:00",
    }
    return CloudEvent(attributes, reading(n) if data is None else data)


def show(made):
    headers, body = made
    body = body.encode() if isinstance(body, str) else body
    print(json.dumps({"headers": headers, "body": body.hex()}))


show(to_structured(event(0)))
show(to_binary(event(0)))
show(to_structured(event(1)))
lines = "\n".join(json.dumps(reading(n)) for n in (2, 3)).encode()
show(to_structured(event(2, lines, "application/x-ndjson")))
show(to_structured(event(4, [reading(4), reading(5)])))
