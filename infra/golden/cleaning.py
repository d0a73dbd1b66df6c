"""Reference values for cleaning decisions, from pint 0.25 (units), jellyfish 1.2 (Damerau-Levenshtein distance) and the
standard library (dates).

Run: python infra/golden/cleaning.py   (needs pint, jellyfish; writes shared/quality/tests/golden/)
"""

import datetime
import json
import pathlib
import random

import jellyfish
import pint

OUT = pathlib.Path(__file__).parents[2] / "shared/quality/tests/golden/cleaning.json"
NAMES = {
    "length": {"mm": "mm", "cm": "cm", "m": "m", "km": "km", "in": "inch", "ft": "ft", "yd": "yd", "mi": "mile", "nmi": "nautical_mile"},
    "mass": {"mg": "mg", "g": "g", "kg": "kg", "t": "metric_ton", "oz": "oz", "lb": "lb"},
    "temperature": {"K": "kelvin", "°C": "degC", "°F": "degF"},
    "speed": {"m/s": "m/s", "km/h": "km/hour", "mph": "mph", "kn": "knot"},
    "pressure": {"Pa": "Pa", "hPa": "hPa", "kPa": "kPa", "bar": "bar", "atm": "atm"},
    "time": {"ms": "ms", "s": "s", "min": "minute", "h": "hour", "d": "day"},
    "volume": {"ml": "ml", "l": "l", "m3": "m**3", "gal_us": "gallon"},
    "area": {"m2": "m**2", "ha": "hectare", "km2": "km**2", "sq_ft": "ft**2"},
    "energy": {"J": "J", "kJ": "kJ", "kWh": "kWh", "kcal": "kcal"},
    "power": {"W": "W", "kW": "kW"},
    "share": {"1": "", "%": "percent"},
}
rng = random.Random(11)


def units():
    """Every ordered pair of units of one quantity, at a few values."""
    registry = pint.UnitRegistry()
    out = []
    for names in NAMES.values():
        for ours, theirs in names.items():
            for other, wanted in names.items():
                for value in (0.0, 1.0, -40.0, 73.25):
                    turned = registry.Quantity(value, theirs).to(wanted).magnitude
                    out.append([ours, other, value, turned])
    return out


def distances():
    words = ["delta air lines", "united airlines", "Zürich", "anchorage", "jetblue", "southwest", "ca", "abc", ""]
    out = []
    for word in words:
        for _ in range(12):
            letters = list(word)
            for _ in range(rng.randint(0, 3)):
                at = rng.randrange(len(letters) + 1)
                kind = rng.choice("idrx")
                if kind == "i":
                    letters.insert(at, rng.choice("abcxyzü "))
                elif letters and kind == "d":
                    letters.pop(min(at, len(letters) - 1))
                elif letters and kind == "r":
                    letters[min(at, len(letters) - 1)] = rng.choice("abcxyzü ")
                elif len(letters) > 1:
                    at = min(at, len(letters) - 2)
                    letters[at], letters[at + 1] = letters[at + 1], letters[at]
            other = "".join(letters)
            out.append([word, other, jellyfish.damerau_levenshtein_distance(word, other)])
    return out


def dates():
    """Dates in several forms, in ISO 8601, and texts that are none."""
    forms = ["%d.%m.%Y", "%m/%d/%Y", "%d %b %Y", "%Y%m%d"]
    out = []
    for _ in range(60):
        day = datetime.date(1900, 1, 1) + datetime.timedelta(days=rng.randrange(60_000))
        form = rng.choice(forms)
        out.append([form, day.strftime(form), day.isoformat()])
    for form, text in [("%d.%m.%Y", "31.02.2024"), ("%m/%d/%Y", "13/01/2024"), ("%d.%m.%Y", "soon"), ("%Y%m%d", "2024130")]:
        out.append([form, text, text])
    return {"forms": forms, "texts": out}


if __name__ == "__main__":
    OUT.write_text(json.dumps({"units": units(), "distances": distances(), "dates": dates()}, ensure_ascii=False) + "\n")
