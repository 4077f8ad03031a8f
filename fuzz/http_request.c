/* fuzz/http_request.c: any split of the same bytes gives the same requests, or the same refusal. */
#include "http_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        return trace_compare(HTTP_PARSE_REQUEST, data, size);
}
