#!/bin/sh
# Uses a secret, which is in the context, never in the environment. sed suffices for a value without escaped quotes.
password=$(sed -n 's/.*"password":"\([^"]*\)".*/\1/p' <&3)
if [ -z "$password" ]; then
        echo '{"message":"I know nothing"}'
else
        printf '{"message":"The password has %d characters"}\n' "${#password}"
fi
