"""Recomputes the hashes of golden outcomes with nothing but Python's standard library.

usage: verify.py OUTCOMES.json    {file: {text, messages, values, placeholders, snapshot, hashes}}
"""
import hashlib
import json
import sys


def sha256(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def ordered(value):
    """Members in the order of RFC 8785: by UTF-16 code unit."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return {name: ordered(value[name]) for name in names}
    return [ordered(item) for item in value] if isinstance(value, list) else value


def canonical(value):
    """RFC 8785, but for floats, which Python writes in its own way."""
    return json.dumps(ordered(value), separators=(",", ":"), ensure_ascii=False)


def has_float(value):
    if isinstance(value, (dict, list)):
        return any(map(has_float, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)


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
        ("messages_hash", outcome["messages"]),
    ]:
        yield name, has_float(value) or sha256(canonical(value)) == hashes[name]
    yield "values", has_float(values) or canonical(values) == outcome["values"]
    yield "snapshot", has_float(snapshot) or canonical(snapshot) == outcome["snapshot"]


with open(sys.argv[1], encoding="utf-8") as file:
    outcomes = json.load(file)
wrong = [f"{name}: {what}" for name, outcome in outcomes.items() for what, same in differences(outcome) if not same]
print("\n".join(wrong) or f"{len(outcomes)} outcomes verified")
sys.exit(1 if wrong else 0)
