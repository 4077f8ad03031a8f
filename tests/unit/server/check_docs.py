"""docs/configuration.md has the table of options as the program prints it."""
import subprocess
import sys

program, document = sys.argv[1:]
table = subprocess.run([program, "--options-markdown"], check=True, capture_output=True, text=True).stdout
with open(document, encoding="utf-8") as file:
    if table not in file.read():
        sys.exit(f"{document} is out of date: put in what '{program} --options-markdown' prints")
