"""What `make bench` is made of: one file a benchmark, and beside them the machine, the load, the servers, the peers,
the figures and the report."""
import os
import sys

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(BENCH)
sys.path.insert(0, os.path.join(ROOT, "tests"))
