/* build/s3_list.c: ListObjectsV2 and ListMultipartUploads, page after page. */
#include "build/s3.h"
#include "build/xml.h"

#include "base/own.h"

#include <stdio.h>
#include <string.h>

enum { PAGES_MAX = 1000, NEXT_MAX = 4096 };

struct page {
        s3_each found;
        void *arg;
        bool more;      /* `found` wants it */
        bool truncated; /* the store has more */
        struct buf *next;
        char key[XML_TEXT_MAX + 1], upload[S3_ID_MAX];
        uint64_t size;
        time_t when;
};

/* 2013-05-24T00:00:00.000Z; 0: it is none. */
static time_t time_read(struct str text)
{
        char buffer[32];
        struct tm parts = {0};

        snprintf(buffer, sizeof(buffer), "%.*s", (int)(text.len < sizeof(buffer) ? text.len : 31), text.p);
        const char *end = strptime(buffer, "%Y-%m-%dT%H:%M:%S", &parts);
        time_t when = end != NULL ? timegm(&parts) : 0;
        return when > 0 ? when : 0;
}

static void entry_end(struct page *page)
{
        struct s3_found found = {.key = str_of(page->key),
                                 .upload = str_of(page->upload),
                                 .size = page->size,
                                 .when = page->when};

        if (page->more && found.key.len > 0)
                page->more = page->found(page->arg, &found);
        page->key[0] = page->upload[0] = '\0';
        page->size = 0;
        page->when = 0;
}

static void entry_part(struct page *page, struct str name, struct str text)
{
        if (str_eq(name, STR("Key")))
                snprintf(page->key, sizeof(page->key), "%.*s", STR_ARG(text));
        else if (str_eq(name, STR("UploadId")) && text.len < sizeof(page->upload))
                snprintf(page->upload, sizeof(page->upload), "%.*s", STR_ARG(text));
        else if (str_eq(name, STR("Size")))
                (void)str_to_u64(text, &page->size);
        else if (str_eq(name, STR("LastModified")) || str_eq(name, STR("Initiated")))
                page->when = time_read(text);
}

static void on_element(void *arg, size_t depth, struct str name, struct str text)
{
        struct page *page = arg;

        if (depth == 3)
                entry_part(page, name, text);
        else if (depth == 2 && (str_eq(name, STR("Contents")) || str_eq(name, STR("Upload"))))
                entry_end(page);
        else if (depth == 2 && str_eq(name, STR("IsTruncated")))
                page->truncated = str_eq(text, STR("true"));
        else if (depth == 2 &&
                 (str_eq(name, STR("NextContinuationToken")) || str_eq(name, STR("NextKeyMarker"))))
                (void)buf_append(page->next, text.p, text.len);
}

enum err_code s3_list_read(struct str document, s3_each found, void *arg, struct buf *ret_next,
                           bool *ret_more, struct err *err)
{
        struct page page = {.found = found, .arg = arg, .more = true, .next = ret_next};
        enum err_code code = xml_read(document, on_element, &page, err);

        if (!page.truncated || code != ERR_OK)
                buf_clear(ret_next);
        *ret_more = page.more;
        return code;
}

/* `call` without its query and answer. */
static enum err_code pages_read(struct s3 *s3, const struct sigv4_field *query, size_t count,
                                const char *marker, s3_each found, void *arg, struct err *err)
{
        own_buf struct buf at = {.max = NEXT_MAX}, next = {.max = NEXT_MAX};
        bool more = true;

        for (unsigned pages = 0; more; pages++) {
                own_call struct s3_call call = S3_CALL("GET", NULL);
                memcpy(call.query, query, count * sizeof(*query));
                call.query_count = count;
                if (at.len > 0)
                        call.query[call.query_count++] = (struct sigv4_field){marker, {at.data, at.len}};
                enum err_code code = s3_send(s3, &call, err);
                if (code == ERR_OK)
                        code = s3_list_read((struct str){call.answer.data, call.answer.len}, found, arg,
                                            &next, &more, err);
                if (code != ERR_OK)
                        return code;
                if (next.len == 0)
                        return ERR_OK;
                if (pages == PAGES_MAX)
                        return err_set(err, ERR_LIMIT, "the object store's list has more than %d pages",
                                       PAGES_MAX);
                buf_clear(&at);
                buf_move(&at, &next);
        }
        return ERR_OK;
}

enum err_code s3_list(struct s3 *s3, const char *prefix, s3_each found, void *arg, struct err *err)
{
        const struct sigv4_field query[] = {{"list-type", STR("2")}, {"prefix", str_of(prefix)}};

        return pages_read(s3, query, 2, "continuation-token", found, arg, err);
}

enum err_code s3_list_uploads(struct s3 *s3, const char *prefix, s3_each found, void *arg, struct err *err)
{
        const struct sigv4_field query[] = {{"uploads", STR("")}, {"prefix", str_of(prefix)}};

        return pages_read(s3, query, 2, "key-marker", found, arg, err);
}
