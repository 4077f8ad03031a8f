#!/bin/sh
# The function of the quickstart as a shell script: the payload is JSON on standard input, standard output is the reply,
# standard error the log. sed suffices for flat JSON without escaped quotes; a real program would parse it.
payload=$(cat)

member() { # member NAME DEFAULT
        value=$(printf '%s' "$payload" | tr '\n' ' ' | sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*\"\([^\"]*\)\".*/\1/p")
        printf '%s' "${value:-$2}"
}

echo "messages to stderr show up in logs" >&2
printf '{"myField":"Hello, %s from %s"}\n' "$(member name Noone)" "$(member place Nowhere)"
