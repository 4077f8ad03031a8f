#!/bin/sh
# Logs: standard error is the log, since standard output is the reply.
echo "line 1" >&2
echo "something is odd" >&2
echo null
