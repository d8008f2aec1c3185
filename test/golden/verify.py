"""Recomputes the hashes of golden outcomes with nothing but Python's standard library.

usage: verify.py OUTCOMES.json    {file: {text, messages, values, placeholders, snapshot, hashes}}
"""
import hashlib
import json
import sys
from decimal import Decimal


def sha256(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def number(value):
    """A number as ECMAScript writes it: from the same shortest digits, which Python writes in its own way."""
    if value == 0:
        return "0"
    shortest = Decimal(repr(abs(float(value)))).normalize().as_tuple()
    places = "".join(map(str, shortest.digits))
    point = len(places) + shortest.exponent
    if len(places) <= point <= 21:
        text = places.ljust(point, "0")
    elif 0 < point <= 21:
        text = f"{places[:point]}.{places[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + places
    else:
        text = f"{places[0]}{'.' * (len(places) > 1)}{places[1:]}e{point - 1:+d}"
    return "-" + text if value < 0 else text


def canonical(value):
    """RFC 8785: members by UTF-16 code unit."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def differences(outcome):
    hashes, snapshot, values = outcome["hashes"], json.loads(outcome["snapshot"]), json.loads(outcome["values"])
    personality = snapshot.get("personality")
    yield "bundle_hash", sha256(outcome["snapshot"]) == hashes["bundle_hash"]
    yield "variables_hash", sha256(outcome["values"]) == hashes["variables_hash"]
    yield "rendered_hash", sha256(outcome["text"]) == hashes["rendered_hash"]
    yield "personality_hash", (personality and sha256(canonical(personality)) or "") == hashes["personality_hash"]
    yield "text", "\n\n".join(message["content"] for message in outcome["messages"]) == outcome["text"]
    for name, value in [
        ("constraints_hash", snapshot.get("constraints", [])),
        ("placeholders_hash", outcome["placeholders"]),
    ]:
        yield name, sha256(canonical(value)) == hashes[name]
    by_content = [{"content_hash": sha256(m["content"]), "role": m["role"]} for m in outcome["messages"]]
    for version, value in [("1", outcome["messages"]), ("2", by_content)]:
        yield f"messages_hash {version}", sha256(canonical(value)) == hashes["messages_hash"][version]
    yield "values", canonical(values) == outcome["values"]
    yield "snapshot", canonical(snapshot) == outcome["snapshot"]


with open(sys.argv[1], encoding="utf-8") as file:
    outcomes = json.load(file)
wrong = [f"{name}: {what}" for name, outcome in outcomes.items() for what, same in differences(outcome) if not same]
print("\n".join(wrong) or f"{len(outcomes)} outcomes verified")
sys.exit(1 if wrong else 0)
