#!/bin/sh
# Shows what a program sees: the context is JSON on the descriptor that DISPATCH_CONTEXT_FD names, which is 3.
printf '{"context":%s,"payload":%s}\n' "$(cat <&3)" "$(cat)"
