"""Prints #defines that rename the functions of src/json, so that they and jansson fit into one program.

        rename.py jansson.h
"""
import re
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
names = set(re.findall(r"\b(json_\w+)\(", text)) - set(re.findall(r"#define (json_\w+)", text))
for name in sorted(names):
    print(f"#define {name} ours_{name}")
