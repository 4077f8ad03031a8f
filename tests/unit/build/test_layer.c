/* tests/unit/build/test_layer.c: layers of container images, as builders make them and as an attacker
 * does. */
#include "build/layer.h"

#include "base/own.h"
#include "base/str.h"
#include "support.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

enum { TAR_MAX = 64 << 20, BYTES_MAX = 1 << 20, FILES_MAX = 50, DIGEST_SIZE = OCI_DIGEST_MAX };

struct box {
        struct place place;
        struct tree tree;
        struct buf tar;
        struct err err;
        char digest[DIGEST_SIZE], diff_id[DIGEST_SIZE];
};

static int setup(void **state)
{
        struct box *box = test_calloc(1, sizeof(*box));

        setlocale(LC_CTYPE, "C.UTF-8");
        place_make(&box->place);
        put_text(box->place.fd, "outside", "untouched");
        tree_init(&box->tree, box->place.out_fd, BYTES_MAX, FILES_MAX);
        buf_init(&box->tar, TAR_MAX);
        *state = box;
        return 0;
}

/* Whatever the layer was: beside the folder nothing has changed. */
static int teardown(void **state)
{
        struct box *box = *state;

        assert_string_equal(get_text(box->place.fd, "outside"), "untouched");
        assert_int_equal(count_entries(box->place.fd), 2);
        tree_finish(&box->tree);
        buf_finish(&box->tar);
        place_clear(&box->place);
        test_free(box);
        return 0;
}

static void digest_of(const void *bytes, size_t len, char out[DIGEST_SIZE])
{
        unsigned char sha[32];

        assert_int_equal(EVP_Digest(bytes, len, sha, NULL, EVP_sha256(), NULL), 1);
        memcpy(out, "sha256:", 7);
        hex_encode(sha, sizeof(sha), out + 7);
        out[7 + 64] = '\0';
}

/* The tar's bytes, compressed by libarchive, in a memory file. */
static int packed(const struct buf *tar, int (*add_filter)(struct archive *), char digest[DIGEST_SIZE])
{
        size_t size = tar->len + (1 << 16), used = 0;
        char *out = test_malloc(size);
        struct archive *writer = archive_write_new();
        struct archive_entry *entry = archive_entry_new();
        int fd = memfd_create("blob", MFD_CLOEXEC);

        assert_int_equal(archive_write_set_format_raw(writer), ARCHIVE_OK);
        if (add_filter != NULL)
                assert_int_equal(add_filter(writer), ARCHIVE_OK);
        archive_write_set_bytes_in_last_block(writer, 1);
        assert_int_equal(archive_write_open_memory(writer, out, size, &used), ARCHIVE_OK);
        archive_entry_set_filetype(entry, AE_IFREG);
        assert_int_equal(archive_write_header(writer, entry), ARCHIVE_OK);
        assert_int_equal(archive_write_data(writer, tar->data, tar->len), tar->len);
        assert_int_equal(archive_write_close(writer), ARCHIVE_OK);
        assert_int_equal(write(fd, out, used), used);
        digest_of(out, used, digest);
        archive_entry_free(entry);
        archive_write_free(writer);
        test_free(out);
        return fd;
}

static enum err_code unpack_blob(struct box *box, int fd, const char *digest, const char *diff_id)
{
        struct oci_layer layer = {.blob = {.size = (uint64_t)lseek(fd, 0, SEEK_END)}};

        snprintf(layer.blob.digest, sizeof(layer.blob.digest), "%s", digest);
        snprintf(layer.diff_id, sizeof(layer.diff_id), "%s", diff_id);
        return layer_unpack(fd, &layer, &box->tree, &box->err);
}

static enum err_code unpack_as(struct box *box, int (*add_filter)(struct archive *))
{
        own_fd int fd = packed(&box->tar, add_filter, box->digest);

        digest_of(box->tar.data, box->tar.len, box->diff_id);
        return unpack_blob(box, fd, box->digest, box->diff_id);
}

static enum err_code unpack(struct box *box)
{
        tar_end(&box->tar);
        return unpack_as(box, archive_write_add_filter_gzip);
}

static void refused(struct box *box, enum err_code code, const char *text)
{
        assert_int_equal(unpack(box), code);
        if (strstr(box->err.text, text) == NULL)
                fail_msg("'%s' is not in '%s'", text, box->err.text);
}

static void each_packing_is_read(void **state)
{
        int (*const filters[])(struct archive *) = {NULL, archive_write_add_filter_gzip,
                                                    archive_write_add_filter_zstd};
        struct box *box = *state;

        tar_file(&box->tar, "etc/name", "content");
        tar_end(&box->tar);
        for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
                assert_int_equal(unpack_as(box, filters[i]), ERR_OK);
                assert_string_equal(get_text(box->place.out_fd, "etc/name"), "content");
        }
        /* A packing that is not for layers. */
        assert_int_not_equal(unpack_as(box, archive_write_add_filter_xz), ERR_OK);
}

static void both_digests_and_the_size_are_checked(void **state)
{
        struct box *box = *state;
        own_fd int fd = -1;
        struct oci_layer layer = {0};

        tar_file(&box->tar, "a", "content");
        tar_end(&box->tar);
        fd = packed(&box->tar, archive_write_add_filter_gzip, box->digest);
        digest_of(box->tar.data, box->tar.len, box->diff_id);
        for (int i = 0; i < 2; i++) {
                char *wrong = i == 0 ? box->digest : box->diff_id;

                wrong[20] ^= 1;
                assert_int_equal(unpack_blob(box, fd, box->digest, box->diff_id), ERR_CORRUPT);
                assert_non_null(strstr(box->err.text, "wrong digest"));
                wrong[20] ^= 1;
        }
        snprintf(layer.blob.digest, sizeof(layer.blob.digest), "%s", box->digest);
        snprintf(layer.diff_id, sizeof(layer.diff_id), "%s", box->diff_id);
        layer.blob.size = 7;
        assert_int_equal(layer_unpack(fd, &layer, &box->tree, &box->err), ERR_CORRUPT);

        /* As in a docker archive, which names no blob. */
        layer.blob.digest[0] = '\0';
        assert_int_equal(layer_unpack(fd, &layer, &box->tree, &box->err), ERR_OK);
        assert_string_equal(layer.blob.digest, box->digest);
        assert_int_equal(layer.blob.size, lseek(fd, 0, SEEK_END));
}

static void a_layer_that_is_cut_off_is_damaged(void **state)
{
        struct box *box = *state;
        own_fd int fd = -1;

        for (int i = 0; i < 20; i++) {
                char name[16];

                snprintf(name, sizeof(name), "file-%d", i);
                tar_file(&box->tar, name, "some content");
        }
        tar_end(&box->tar);
        fd = packed(&box->tar, archive_write_add_filter_gzip, box->digest);
        digest_of(box->tar.data, box->tar.len, box->diff_id);
        for (off_t len = lseek(fd, 0, SEEK_END) - 1; len >= 0; len -= 7) {
                assert_int_equal(ftruncate(fd, len), 0);
                if (unpack_blob(box, fd, box->digest, box->diff_id) != ERR_CORRUPT)
                        fail_msg("%lld bytes: %s", (long long)len, box->err.text);
        }
}

static bool is_whiteout(struct box *box, const char *path)
{
        struct stat st;

        return fstatat(box->place.out_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
               st.st_rdev == makedev(0, 0);
}

static void is_opaque(struct box *box, const char *path)
{
        own_fd int fd = openat(box->place.out_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char value[8] = "";

        assert_int_equal(fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)), 1);
        assert_string_equal(value, "y");
}

static void whiteouts_become_those_of_overlayfs(void **state)
{
        struct box *box = *state;

        tar_file(&box->tar, "etc/.wh.gone", "");
        tar_file(&box->tar, ".wh.old", "");
        tar_file(&box->tar, "var/.wh..wh..opq", "");
        tar_file(&box->tar, "var/new", "here");
        tar_file(&box->tar, ".wh..wh.plnk", "");
        tar_file(&box->tar, "both", "stays");
        tar_file(&box->tar, ".wh.both", "");
        tar_file(&box->tar, ".wh.again", "");
        tar_file(&box->tar, "again", "made anew");
        assert_int_equal(unpack(box), ERR_OK);
        assert_true(is_whiteout(box, "etc/gone"));
        assert_true(is_whiteout(box, "old"));
        is_opaque(box, "var");
        assert_string_equal(get_text(box->place.out_fd, "var/new"), "here");
        assert_string_equal(get_text(box->place.out_fd, "both"), "stays");
        assert_string_equal(get_text(box->place.out_fd, "again"), "made anew");
        assert_int_equal(count_entries(box->place.out_fd), 5);
}

static void an_opaque_root_hides_everything(void **state)
{
        struct box *box = *state;

        tar_file(&box->tar, ".wh..wh..opq", "");
        assert_int_equal(unpack(box), ERR_OK);
        is_opaque(box, ".");
}

static void whiteouts_of_nothing_are_refused(void **state)
{
        static const char *const names[] = {"a/.wh.", "a/.wh..", "a/.wh..."};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                struct box *box = *state;

                buf_clear(&box->tar);
                tar_file(&box->tar, names[i], "");
                refused(box, ERR_INVALID, "a whiteout of nothing");
        }
}

static void everybody_reads_and_nobody_writes(void **state)
{
        struct box *box = *state;

        tar_put(&box->tar, "shadow", '0', "", 0600, "x", 1);
        tar_put(&box->tar, "none", '0', "", 0, "x", 1);
        tar_put(&box->tar, "su", '0', "", 04750, "x", 1);
        tar_put(&box->tar, "tmp/", '5', "", 01777, NULL, 0);
        tar_put(&box->tar, "home/", '5', "", 0700, NULL, 0);
        assert_int_equal(unpack(box), ERR_OK);
        assert_int_equal(get_mode(box->place.out_fd, "shadow"), 0644);
        assert_int_equal(get_mode(box->place.out_fd, "none"), 0644);
        assert_int_equal(get_mode(box->place.out_fd, "su"), 0755);
        assert_int_equal(get_mode(box->place.out_fd, "tmp"), 0755);
        assert_int_equal(get_mode(box->place.out_fd, "home"), 0755);
}

static void devices_pipes_and_sockets_are_left_out(void **state)
{
        struct box *box = *state;

        tar_put(&box->tar, "dev/null", '3', "", 0666, NULL, 0);
        tar_put(&box->tar, "dev/disk", '4', "", 0660, NULL, 0);
        tar_put(&box->tar, "run/pipe", '6', "", 0600, NULL, 0);
        tar_file(&box->tar, "file", "x");
        assert_int_equal(unpack(box), ERR_OK);
        assert_int_equal(count_entries(box->place.out_fd), 1);
}

static void names_may_begin_with_a_slash_and_links_lead_anywhere(void **state)
{
        struct box *box = *state;

        tar_file(&box->tar, "/app/main", "x");
        tar_file(&box->tar, "./usr/lib/a", "y");
        tar_put(&box->tar, "/app/second", '1', "app/main", 0644, NULL, 0);
        tar_put(&box->tar, "lib", '2', "/usr/lib", 0777, NULL, 0);
        tar_put(&box->tar, "up", '2', "../../../etc/passwd", 0777, NULL, 0);
        assert_int_equal(unpack(box), ERR_OK);
        assert_string_equal(get_text(box->place.out_fd, "app/second"), "x");
        assert_string_equal(get_link(box->place.out_fd, "lib"), "/usr/lib");
        assert_string_equal(get_link(box->place.out_fd, "up"), "../../../etc/passwd");
}

static void what_leads_out_is_refused(void **state)
{
        static const struct {
                const char *link, *target; /* a symbolic link before it, or NULL */
                const char *name;
                char type;
                const char *to;
                const char *text;
        } cases[] = {
                {NULL, NULL, "../outside", '0', "", "'..'"},
                {NULL, NULL, "a/../../outside", '0', "", "'..'"},
                {NULL, NULL, "/../outside", '0', "", "'..'"},
                {NULL, NULL, "a", '1', "../outside", "'..'"},
                {NULL, NULL, "a", '1', "/etc/passwd", "is an absolute path"},
                {"way", "..", "way/outside", '0', "", "written through the link 'way'"},
                {"way", "/tmp", "way/outside", '0', "", "written through the link 'way'"},
                {"way", "..", "way/.wh.outside", '0', "", "written through the link 'way'"},
                {"way", "..", "way/.wh..wh..opq", '0', "", "written through the link 'way'"},
                {"way", "../outside", "a", '1', "way", "not a file"},
                {"way", "..", "a", '1', "way/outside", "no earlier file"},
        };
        struct box *box = *state;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                buf_clear(&box->tar);
                if (cases[i].link != NULL)
                        tar_put(&box->tar, cases[i].link, '2', cases[i].target, 0777, NULL, 0);
                tar_put(&box->tar, cases[i].name, cases[i].type, cases[i].to, 0644, "x",
                        cases[i].type == '0' ? 1 : 0);
                refused(box, ERR_INVALID, cases[i].text);
                assert_non_null(strstr(box->err.text, "member '"));
        }
}

static void bounds_hold(void **state)
{
        static char big[BYTES_MAX + 1];
        struct box *box = *state;

        tar_put(&box->tar, "big", '0', "", 0644, big, sizeof(big));
        refused(box, ERR_TOO_LARGE, "more than 1 MiB unpacked");
        buf_clear(&box->tar);
        for (int i = 0; i < FILES_MAX + 1; i++) {
                char name[16];

                snprintf(name, sizeof(name), ".wh.%d", i);
                tar_file(&box->tar, name, "");
        }
        refused(box, ERR_TOO_LARGE, "more than 50 files");
}

static void a_bomb_behind_the_end_of_the_tar_is_too_large(void **state)
{
        struct box *box = *state;

        tar_file(&box->tar, "a", "x");
        tar_end(&box->tar);
        for (int i = 0; i < 32; i++) {
                static const char zeros[1 << 18];

                assert_int_equal(buf_append(&box->tar, zeros, sizeof(zeros)), ERR_OK);
        }
        assert_int_equal(unpack_as(box, archive_write_add_filter_gzip), ERR_TOO_LARGE);
}

/* By libarchive's own writer: sparse files and attributes are beyond the tars made by hand. */
static void put_rich(struct buf *tar, void (*fill)(struct archive_entry *entry), size_t content)
{
        size_t size = 1 << 20, used = 0;
        char *out = test_malloc(size), *bytes = test_calloc(1, content + 1);
        struct archive *writer = archive_write_new();
        struct archive_entry *entry = archive_entry_new();

        archive_write_set_format_pax(writer);
        archive_write_set_bytes_in_last_block(writer, 1);
        assert_int_equal(archive_write_open_memory(writer, out, size, &used), ARCHIVE_OK);
        archive_entry_set_pathname(entry, "rich");
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_size(entry, (la_int64_t)content);
        fill(entry);
        memset(bytes, 'x', content);
        assert_int_equal(archive_write_header(writer, entry), ARCHIVE_OK);
        assert_true(archive_write_data(writer, bytes, content) >= 0);
        assert_int_equal(archive_write_close(writer), ARCHIVE_OK);
        assert_int_equal(buf_append(tar, out, used), ERR_OK);
        archive_entry_free(entry);
        archive_write_free(writer);
        test_free(bytes);
        test_free(out);
}

static void fill_attributes(struct archive_entry *entry)
{
        archive_entry_xattr_add_entry(entry, "user.mine", "value", 5);
        archive_entry_xattr_add_entry(entry, "user.overlay.opaque", "y", 1);
        archive_entry_xattr_add_entry(entry, "user.overlay.redirect", "/etc", 4);
        archive_entry_xattr_add_entry(entry, "trusted.overlay.opaque", "y", 1);
        archive_entry_xattr_add_entry(entry, "security.capability", "\1\0\0\2", 4);
}

static void attributes_of_users_are_kept_and_no_others(void **state)
{
        struct box *box = *state;
        char names[256], value[8] = "";

        put_rich(&box->tar, fill_attributes, 3);
        assert_int_equal(unpack_as(box, archive_write_add_filter_gzip), ERR_OK);
        own_fd int fd = openat(box->place.out_fd, "rich", O_RDONLY | O_CLOEXEC);
        ssize_t len = flistxattr(fd, names, sizeof(names));
        assert_int_equal(len, sizeof("user.mine"));
        assert_string_equal(names, "user.mine");
        assert_int_equal(fgetxattr(fd, "user.mine", value, sizeof(value)), 5);
        assert_string_equal(value, "value");
}

static void fill_too_many_attributes(struct archive_entry *entry)
{
        for (int i = 0; i < 100; i++) {
                char name[32];

                snprintf(name, sizeof(name), "user.%d", i);
                archive_entry_xattr_add_entry(entry, name, "v", 1);
        }
}

static void too_many_attributes_are_refused(void **state)
{
        struct box *box = *state;

        put_rich(&box->tar, fill_too_many_attributes, 3);
        assert_int_equal(unpack_as(box, archive_write_add_filter_gzip), ERR_TOO_LARGE);
        assert_non_null(strstr(box->err.text, "attributes"));
}

enum { SPARSE_SIZE = 900000 };

static void fill_sparse(struct archive_entry *entry)
{
        archive_entry_sparse_add_entry(entry, 0, 4096);
        archive_entry_sparse_add_entry(entry, SPARSE_SIZE - 10, 10);
}

static void holes_stay_holes(void **state)
{
        struct box *box = *state;
        struct stat st;
        char last[10];

        put_rich(&box->tar, fill_sparse, SPARSE_SIZE);
        assert_true(box->tar.len < 50000);
        assert_int_equal(unpack_as(box, archive_write_add_filter_zstd), ERR_OK);
        own_fd int fd = openat(box->place.out_fd, "rich", O_RDONLY | O_CLOEXEC);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, SPARSE_SIZE);
        assert_true(st.st_blocks * 512 < SPARSE_SIZE / 2);
        assert_int_equal(pread(fd, last, sizeof(last), SPARSE_SIZE - 10), 10);
        assert_memory_equal(last, "xxxxxxxxxx", 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(each_packing_is_read),
                TEST(both_digests_and_the_size_are_checked),
                TEST(a_layer_that_is_cut_off_is_damaged),
                TEST(whiteouts_become_those_of_overlayfs),
                TEST(an_opaque_root_hides_everything),
                TEST(whiteouts_of_nothing_are_refused),
                TEST(everybody_reads_and_nobody_writes),
                TEST(devices_pipes_and_sockets_are_left_out),
                TEST(names_may_begin_with_a_slash_and_links_lead_anywhere),
                TEST(what_leads_out_is_refused),
                TEST(bounds_hold),
                TEST(a_bomb_behind_the_end_of_the_tar_is_too_large),
                TEST(attributes_of_users_are_kept_and_no_others),
                TEST(too_many_attributes_are_refused),
                TEST(holes_stay_holes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
