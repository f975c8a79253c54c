"""Makes recorded requests of a Prism mock server, which checks them against GitHub's API
description.

Usage: described.py RECORD.jsonl PRISM_URL

Requests outside the slice of the description (downloads from the storage service) are counted, and
so is every request that Prism turns away.
"""

import json
import sys
import urllib.error
import urllib.request

RECORD, PRISM = sys.argv[1], sys.argv[2]


def check(line):
    """Whether Prism knows the route, and what it does not like about the request."""
    method, target = line["method"], line["target"]
    headers = {
        name: value
        for name, value in line["headers"].items()
        if name in ("accept", "content-type", "user-agent")
    }
    headers["authorization"] = "token t"
    data = json.dumps(line["body"]).encode() if line["body"] is not None else None
    if line["op"] == "upload":
        # The description requires a body; its content does not matter here.
        data = b"bytes"
        headers["content-type"] = "application/octet-stream"
    request = urllib.request.Request(PRISM + target, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return True, answer.headers.get("sl-violations")
    except urllib.error.HTTPError as error:
        body = error.read().decode(errors="replace")
        if error.code == 404 and "NO_PATH_MATCHED" in body:
            return False, None
        if error.code in (422, 400, 401, 405, 415) and ("UNPROCESSABLE" in body or "INVALID" in body
                                                        or "NO_METHOD" in body
                                                        or error.headers.get("sl-violations")):
            return True, error.headers.get("sl-violations") or body
        return True, error.headers.get("sl-violations")


def refusal(violations):
    """What is wrong about the request; Prism also reports its own made-up answers."""
    ours = [v for v in as_list(violations) if "request" in json.dumps(v.get("location", []))]
    return ours or (violations if isinstance(violations, str) and violations.startswith("{") else None)


# A release without a tag: if this is accepted, nothing is being checked.
WRONG = {"op": "", "method": "POST", "target": "/repos/octo/images/releases", "body": {"draft": 1},
         "headers": {"content-type": "application/json"}}


def main():
    checked, outside, refused = 0, 0, 0
    if not refusal(check(WRONG)[1]):
        sys.exit("Prism lets a wrong request pass")
    for text in open(RECORD, encoding="utf-8"):
        line = json.loads(text)
        known, violations = check(line)
        if not known:
            outside += 1
            print(f"outside the description: {line['method']} {line['target']}")
            continue
        checked += 1
        wrong = refusal(violations)
        if wrong:
            refused += 1
            print(f"refused: {line['method']} {line['target']}: {wrong}")
    print(f"figure contract_requests {checked} count")
    print(f"figure contract_refused {refused + outside} count")
    sys.exit(bool(refused or outside or not checked))


def as_list(violations):
    try:
        parsed = json.loads(violations or "[]")
    except ValueError:
        return []
    return parsed if isinstance(parsed, list) else []


main()
