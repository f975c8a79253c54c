"""Cuts a slice out of GitHub's API description: what Sysforge uses, and what that refers to.

Usage: slice.py DESCRIPTION.json > SLICE.json

The whole description takes a mock server many seconds to read; the slice takes one.
"""

import json
import sys

WANTED = (
    "/repos/{owner}/{repo}",
    "/repos/{owner}/{repo}/releases",
    "/repos/{owner}/{repo}/attestations/{subject_digest}",
    "/repos/{owner}/{repo}/immutable-releases",
)


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def without_examples(node):
    """Examples of one route drag in whole chapters."""
    if isinstance(node, dict):
        return {k: without_examples(v) for k, v in node.items() if k not in ("examples", "x-github")}
    if isinstance(node, list):
        return [without_examples(value) for value in node]
    return node


def main():
    whole = json.load(open(sys.argv[1], encoding="utf-8"))
    paths = {
        path: operations
        for path, operations in whole["paths"].items()
        if path in WANTED or path.startswith(WANTED[1])
    }
    # Of the repository itself, only reading is used.
    paths[WANTED[0]] = {"get": paths[WANTED[0]]["get"]}
    paths = without_examples(paths)
    # All requests go to one mock server, uploads too.
    for operations in paths.values():
        for operation in operations.values():
            if isinstance(operation, dict):
                operation.pop("servers", None)
    kept, todo = {}, list(references(paths))
    while todo:
        reference = todo.pop()
        if reference in kept:
            continue
        node = whole
        for part in reference.lstrip("#/").split("/"):
            node = node[part]
        kept[reference] = without_examples(node)
        todo += references(kept[reference])
    components = {}
    for reference, node in kept.items():
        _, _, kind, name = reference.split("/")
        components.setdefault(kind, {})[name] = node
    json.dump(
        {"openapi": whole["openapi"], "info": whole["info"], "paths": paths, "components": components},
        sys.stdout,
    )


main()
