/*
 * build/s3_curl.h: libcurl, loaded when a job talks to an object store: with what it needs it costs as much
 * time to load as unpacking a small function takes, and those jobs are many more.
 */
#ifndef DISPATCH_BUILD_S3_CURL_H
#define DISPATCH_BUILD_S3_CURL_H

#include "base/err.h"

#include <curl/curl.h>

struct curl_library {
        __typeof__(curl_easy_init) *easy_init;
        __typeof__(curl_easy_setopt) *setopt;
        __typeof__(curl_easy_perform) *perform;
        __typeof__(curl_easy_getinfo) *getinfo;
        __typeof__(curl_easy_reset) *reset;
        __typeof__(curl_easy_cleanup) *cleanup;
        __typeof__(curl_easy_strerror) *strerror;
        __typeof__(curl_getdate) *getdate;
        __typeof__(curl_slist_append) *slist_append;
        __typeof__(curl_slist_free_all) *slist_free_all;
};

/* Stays loaded until the process ends. ERR_UNAVAILABLE: it is not installed. */
enum err_code curl_library_load(const struct curl_library **ret, struct err *err);

#endif
