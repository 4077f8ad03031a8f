"""Logs in each way there is; `count` says how many lines."""
import logging
import subprocess
import sys


def handle(context, payload):
    for number in range(int((payload or {}).get("count", 1))):
        print("line", number + 1)
    print("something is odd", file=sys.stderr)
    logging.warning("what the logging module says goes to stderr")
    subprocess.run(["echo", "child processes log too"], check=True)
    return None
