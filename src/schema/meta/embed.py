"""embed.py OUT FILE...: the metaschemas as a C source: a table of their texts."""

import json
import sys


def literal(text):
    lines = []
    for line in text.splitlines():
        lines.append('        "%s\\n"' % line.replace("\\", "\\\\").replace('"', '\\"'))
    return "\n".join(lines)


def main():
    out = ['#include "schema/metaschema.h"\n\n', "const struct metaschema_text metaschema_texts[] = {\n"]
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        out.append('        {"%s",\n%s},\n' % (json.loads(text)["$id"].rstrip("#"), literal(text)))
    out.append("        {NULL, NULL},\n};\n")
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("".join(out))


main()
