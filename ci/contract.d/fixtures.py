"""Replays recorded GitHub traffic against the fake one.

Usage: fixtures.py API_URL REPOSITORY FIXTURE...

Every recorded request is made of the fake, with the recorded numbers replaced by the fake's own.
The status has to be the recorded one, and the answer has to have every recorded field, of the same
type; recordings are older than some fields, so more are allowed.
"""

import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

API, REPOSITORY, FIXTURES = sys.argv[1], sys.argv[2], sys.argv[3:]

# Fields that the fake leaves out or that GitHub has dropped since the recording.
DROPPED = {"request_id"}


def call(method, path, body):
    data, headers = None, {"authorization": "token writer", "accept": "application/vnd.github+json"}
    if isinstance(body, (dict, list)):
        data = json.dumps(body).encode()
        headers["content-type"] = "application/json"
    elif body:
        data = body.encode()
        headers["content-type"] = "text/plain"
    quoted = urllib.parse.quote(path, safe="/?=&%")
    request = urllib.request.Request(API + quoted, data, headers, method=method.upper())
    try:
        with urllib.request.urlopen(request) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    return status, json.loads(text) if text else None


def differences(expected, found, where="answer"):
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            yield f"{where} is no object"
            return
        for key, value in expected.items():
            if key in DROPPED:
                continue
            if key not in found:
                yield f"{where}.{key} is missing"
            else:
                yield from differences(value, found[key], f"{where}.{key}")
    elif isinstance(expected, list):
        if not isinstance(found, list):
            yield f"{where} is no list"
        elif expected and not found:
            yield f"{where} is empty"
        elif expected:
            yield from differences(expected[0], found[0], f"{where}[0]")
    elif expected is not None and found is not None and type(expected) is not type(found):
        yield f"{where} is {type(found).__name__}, and was {type(expected).__name__}"


def replay(fixture):
    steps = json.load(open(fixture, encoding="utf-8"))
    problems, numbers = [], {}
    name = re.search(r"/repos/([^/]+/[^/]+)", steps[0]["path"]).group(1)
    # The state when the recording started: a published release, which contains a file in the case
    # of a conflict.
    release = call("post", f"/repos/{REPOSITORY}/releases", {"tag_name": "v1.0.0"})[1]
    if "conflict" in fixture:
        path = f"/repos/{REPOSITORY}/releases/{release['id']}/assets?name=test-upload.txt"
        asset = call("post", path, "before")[1]
        numbers["assets/1000"] = f"assets/{asset['id']}"
    numbers["releases/1000"] = f"releases/{release['id']}"
    for step in steps:
        path = step["path"].replace(name, REPOSITORY)
        for old, new in numbers.items():
            path = re.sub(rf"{old}\b", new, path)
        status, answer = call(step["method"], path.strip(), step.get("body"))
        if status != step["status"]:
            problems.append(f"{step['method']} {path}: status {status}, and was {step['status']}")
            continue
        if step["response"]:
            problems += [f"{step['method']} {path}: {d}" for d in differences(step["response"], answer)]
        if status == 201:
            numbers[f"assets/{step['response']['id']}"] = f"assets/{answer['id']}"
    call("delete", f"/repos/{REPOSITORY}/releases/{release['id']}", None)
    return len(steps), problems


def main():
    failed, made = [], 0
    for fixture in FIXTURES:
        steps, problems = replay(fixture)
        made += steps
        failed += problems
    for problem in failed:
        print(problem)
    print(f"figure contract_replayed_requests {made} count")
    print(f"figure contract_replay_differences {len(failed)} count")
    sys.exit(bool(failed))


main()
