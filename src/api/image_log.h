/*
 * api/image_log.h: the logs of builds of images and base images, one file each by the resource's id, and
 * those who follow them: GET /v1/image/NAME/logs.
 *
 * A log is what the last build printed, cut at IMAGE_LOG_MAX bytes; it stays until the next build or until
 * the resource is deleted. It is for people: a disk without room costs lines, nothing else. Control loop
 * only; blocks on the disk.
 */
#ifndef DISPATCH_API_IMAGE_LOG_H
#define DISPATCH_API_IMAGE_LOG_H

#include "api/internal.h"

enum {
        IMAGE_LOG_MAX = 2 << 20,
        IMAGE_LOG_PAGE_MAX = 256 << 10, /* bytes of one reply */
        IMAGE_LOG_WAIT_MAX_S = 30,
        IMAGE_LOG_WAITERS_MAX = 256
};

enum err_code image_logs_init(struct api *api, struct err *err);
void image_logs_finish(struct api *api);

/* A build begins: what an earlier one printed goes. */
void image_log_begin(struct api *api, const char *id);
/* One line, without its end. */
void image_log_line(struct api *api, const char *id, struct str line);
/* The line that a terminal shows until the next; nothing is kept of it. */
void image_log_progress(struct api *api, const char *id, struct str text);
/* Its status has moved: those who wait hear of it. */
void image_log_moved(struct api *api, const char *id);
void image_log_remove(struct api *api, const char *id);

/* Answers GET .../logs?offset=N&wait=SECONDS of a row: {"text", "offset", "over", "progress"?}; waits up to
 * that long for more than there is at the offset while the build goes on. Finishes the call. */
void image_log_call(struct api_call *call, const struct store_row *row);

#endif
