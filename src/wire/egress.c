/* wire/egress.c: sizes of frames. */
#include "wire/egress.h"

size_t egress_frame_size(uint32_t op)
{
        switch (op) {
        case EGRESS_POOL:
                return sizeof(struct egress_pool);
        case EGRESS_CLIENT:
        case EGRESS_GONE:
                return sizeof(struct egress_client);
        case EGRESS_OPENED:
        case EGRESS_OPEN:
                return sizeof(struct egress_open);
        default:
                return 0;
        }
}
