/*
 * fuzz/s3_answer.c: any bytes as the document by which an object store answers.
 *
 * Properties: names and texts of elements are within their bounds, elements end in the order of a tree, and
 * what a list yields has a key; reading twice yields the same.
 */
#include "build/s3.h"
#include "build/xml.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tree {
        size_t depth; /* of the element that ended last */
        size_t count;
};

static void on_element(void *arg, size_t depth, struct str name, struct str text)
{
        struct tree *tree = arg;

        assert(depth >= 1 && depth <= XML_DEPTH_MAX);
        assert(depth + 1 >= tree->depth); /* a parent follows the last of its children */
        assert(name.len > 0 && name.len <= XML_NAME_MAX && text.len <= XML_TEXT_MAX);
        tree->depth = depth;
        tree->count++;
}

static bool on_found(void *arg, const struct s3_found *found)
{
        size_t *count = arg;

        assert(found->key.len > 0 && found->key.len <= XML_TEXT_MAX && found->upload.len < S3_ID_MAX);
        assert(found->when >= 0);
        return ++*count < 100;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str document = {(const char *)data, size};
        struct tree first = {0}, second = {0};
        own_buf struct buf next = {.max = 4096};
        size_t found = 0;
        bool more;

        enum err_code code = xml_read(document, on_element, &first, NULL);
        assert(code == xml_read(document, on_element, &second, NULL) && first.count == second.count);
        assert(code != ERR_OK || first.depth == 1);
        assert(s3_list_read(document, on_found, &found, &next, &more, NULL) == code);
        assert(more == (found < 100) && found <= 100);
        return 0;
}
