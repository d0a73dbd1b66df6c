"""Reference values for tidemill-quality, from python-stdnum 2.2, numpy, and the standard library.

Run: python infra/golden/quality.py   (needs numpy, python-stdnum; writes shared/quality/tests/golden/)
"""

import datetime
import ipaddress
import json
import pathlib
import random
import re
import uuid

import numpy as np
from stdnum import iban, luhn, numdb

OUT = pathlib.Path(__file__).parents[2] / "shared/quality/tests/golden/quality.json"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
rng = random.Random(7)


def valid(check, text):
    try:
        check(text)
        return True
    except Exception:
        return False


def ibans():
    """One conforming IBAN of every country in the registry, and what becomes of it by common slips."""
    database = numdb.get("iban")
    out = []
    for country in (a + b for a in LETTERS for b in LETTERS):
        found = database.info(country + "00")[0][1]
        if "bban" not in found:
            continue
        body = ""
        for width, kind in re.findall(r"(\d+)!?([nac])", found["bban"]):
            pool = {"n": "0123456789", "a": LETTERS, "c": LETTERS + "0123456789"}[kind]
            body += "".join(rng.choice(pool) for _ in range(int(width)))
        text = country + iban.calc_check_digits(country + "00" + body) + body
        digit = text[:-1] + str((int(text[-1], 36) + 1) % 10)
        places = [i for i in range(4, len(text) - 1) if text[i] != text[i + 1]]
        i = rng.choice(places)
        swapped = text[:i] + text[i + 1] + text[i] + text[i + 2 :]
        spaced = " ".join(text[k : k + 4] for k in range(0, len(text), 4))
        for case in (text, digit, swapped, spaced, text[:-1], text + "0"):
            out.append([case, valid(lambda t: iban.validate(t, check_country=False), case)])
    return out


def luhns():
    out = []
    for length in (2, 8, 15, 16, 19):
        for _ in range(10):
            body = "".join(rng.choice("0123456789") for _ in range(length - 1))
            good = body + luhn.calc_check_digit(body)
            out += [[text, luhn.is_valid(text)] for text in (good, body + str((int(good[-1]) + 3) % 10))]
    return out


def addresses():
    texts = ["1.2.3.4", "255.255.255.255", "256.1.1.1", "1.2.3", "01.2.3.4", "1.2.3.4.5", "::", "::1", "2001:db8::1"]
    texts += ["2001:db8::1::2", "12345::", "::ffff:1.2.3.4", "fe80::g", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "", " 1.2.3.4"]
    return [[text, valid(ipaddress.ip_address, text)] for text in texts]


def uuids():
    texts = [str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(5)]
    texts += [texts[0].upper(), texts[0][:-1], texts[0] + "0", texts[0].replace("-", ""), "g" + texts[0][1:]]
    # The standard library also takes other spellings; the canonical one is meant.
    return [[text, valid(uuid.UUID, text) and len(text) == 36] for text in texts]


def dates():
    cases = {
        "%Y-%m-%d": ["2013-02-28", "2012-02-29", "2013-02-29", "2013-13-01", "2013-00-10", "13-02-28x", "2013/02/28", ""],
        "%d.%m.%Y": ["01.02.2013", "31.04.2013", "30.04.2013", "1.2.2013 "],
        "%Y-%m-%d %H:%M:%S": ["2013-02-28 23:59:59", "2013-02-28 24:00:00", "2013-02-28T23:59:59", "2013-02-28 23:60:00"],
        "%H:%M": ["00:00", "23:59", "24:00", "12:60"],
        "%m/%d/%Y": ["02/29/2012", "29/02/2012", "12/31/1999"],
    }
    parse = lambda form: lambda text: datetime.datetime.strptime(text, form)
    return [[form, text, valid(parse(form), text)] for form, texts in cases.items() for text in texts]


def statistics():
    """One number of a column each, on a sample with ties and a heavy tail."""
    generator = np.random.default_rng(7)
    values = np.concatenate([generator.lognormal(1.0, 1.0, 1000), np.round(generator.normal(5, 1, 500), 1)])
    out = {"values": values.tolist(), "mean": values.mean(), "std": values.std(ddof=1), "sum": values.sum()}
    shares = [0.0, 0.01, 0.25, 0.5, 0.9, 0.999, 1.0]
    out["quantiles"] = [[share, np.quantile(values, share)] for share in shares]
    out["distinct"] = len(np.unique(values))
    return out


def stability():
    """Population stability indices over frozen bins, shares floored at 1e-4."""
    generator = np.random.default_rng(8)
    reference = generator.normal(0, 1, 20_000)
    edges = np.quantile(reference, np.arange(1, 10) / 10)
    count = lambda values: np.bincount(np.searchsorted(edges, values, side="left"), minlength=10).tolist() + [0]
    out = []
    for shift in (0.0, 0.1, 0.5, 1.0):
        now = generator.normal(shift, 1, 2_000)
        expected, actual = np.array(count(reference), float), np.array(count(now), float)
        e, a = np.maximum(expected / expected.sum(), 1e-4), np.maximum(actual / actual.sum(), 1e-4)
        out.append({"values": now.tolist(), "psi": float(((a - e) * np.log(a / e)).sum())})
    return {"edges": edges.tolist(), "counts": count(reference), "windows": out}


if __name__ == "__main__":
    document = {
        "iban": ibans(),
        "luhn": luhns(),
        "ip": addresses(),
        "uuid": uuids(),
        "dates": dates(),
        "statistics": statistics(),
        "stability": stability(),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(document, default=float) + "\n")
