"""Says where a PowerShell script does not follow the language's grammar.

Usage: powershell.py SCRIPT
"""

import sys

import tree_sitter
import tree_sitter_powershell

with open(sys.argv[1], "rb") as file:
    source = file.read()
language = tree_sitter.Language(tree_sitter_powershell.language())
todo = [tree_sitter.Parser(language).parse(source).root_node]
wrong = 0
while todo:
    node = todo.pop()
    if node.is_error or node.is_missing:
        wrong += 1
        line, column = node.start_point
        text = source[node.start_byte : node.end_byte][:60].decode(errors="replace")
        print(f"{sys.argv[1]}:{line + 1}:{column + 1}: this is no PowerShell: {text}", file=sys.stderr)
    else:
        todo.extend(node.children)
sys.exit(1 if wrong else 0)
