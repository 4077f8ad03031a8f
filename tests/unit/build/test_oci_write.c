/* tests/unit/build/test_oci_write.c: tars and image layouts, read back with libarchive and by hand. */
#include "base/own.h"
#include "build/oci_write.h"
#include "support.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { BYTES_MAX = 16 << 20 };

static struct place place;

static int setup(void **state)
{
        (void)state;
        place_make(&place);
        assert_int_equal(mkdirat(place.fd, "tree", 0755), 0);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        place_clear(&place);
        return 0;
}

static enum err_code into_buf(void *arg, const void *bytes, size_t len, struct err *err)
{
        (void)err;
        return buf_append(arg, bytes, len);
}

static int tree_fd(void)
{
        return openat(place.fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The tree as a tar. */
static void pack(const struct tar_tree *tree, struct buf *ret)
{
        own_fd int fd = tree_fd();
        struct tar_out out = {.write = into_buf, .arg = ret};
        struct err err = {0};

        buf_init(ret, BYTES_MAX);
        if (tar_tree(&out, fd, tree, &err) != ERR_OK)
                fail_msg("%s", err.text);
        assert_int_equal(tar_write_end(&out, &err), ERR_OK);
        assert_int_equal(ret->len % TAR_BLOCK, 0);
}

/* "TYPE MODE MTIME PATH [-> LINK]" of each member, a line each, in a text that the next call reuses. */
static const char *listing(const struct buf *tar)
{
        static char text[65536];
        struct archive *in = archive_read_new();
        struct archive_entry *entry;
        size_t len = 0;

        assert_int_equal(archive_read_support_format_tar(in), ARCHIVE_OK);
        assert_int_equal(archive_read_open_memory(in, tar->data, tar->len), ARCHIVE_OK);
        text[0] = '\0';
        while (archive_read_next_header(in, &entry) == ARCHIVE_OK) {
                const char *hard = archive_entry_hardlink(entry);
                const char *link = hard != NULL ? hard : archive_entry_symlink(entry);

                assert_int_equal(archive_entry_uid(entry), 0);
                assert_int_equal(archive_entry_gid(entry), 0);
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%c %o %lld %s%s%s\n",
                                        hard != NULL                                ? 'h'
                                        : archive_entry_filetype(entry) == AE_IFDIR ? 'd'
                                        : archive_entry_filetype(entry) == AE_IFLNK ? 'l'
                                        : archive_entry_filetype(entry) == AE_IFREG ? 'f'
                                                                                    : '?',
                                        (unsigned)archive_entry_perm(entry),
                                        (long long)archive_entry_mtime(entry), archive_entry_pathname(entry),
                                        link != NULL ? " -> " : "", link != NULL ? link : "");
                assert_true(len < sizeof(text));
        }
        archive_read_free(in);
        return text;
}

static void test_members_are_sorted_and_say_nothing_of_the_machine(void **state)
{
        (void)state;
        own_fd int fd = tree_fd();
        own_buf struct buf tar = {0};

        put_text(fd, "b", "two");
        put_text(fd, "a/z", "one");
        put_text(fd, "B", "");
        put_link(fd, "a/link", "../b");
        assert_int_equal(fchownat(fd, "b", 1234, 1234, 0), 0);
        assert_int_equal(fchmodat(fd, "b", 06755, 0), 0);
        pack(&(struct tar_tree){.prefix = "function"}, &tar);
        assert_string_equal(listing(&tar), "d 755 0 function/\n"
                                           "f 644 0 function/B\n"
                                           "d 755 0 function/a/\n"
                                           "l 777 0 function/a/link -> ../b\n"
                                           "f 644 0 function/a/z\n"
                                           "f 755 0 function/b\n");
}

static void test_a_second_name_is_a_hard_link(void **state)
{
        (void)state;
        own_fd int fd = tree_fd();
        own_buf struct buf tar = {0};

        put_text(fd, "one", "content");
        assert_int_equal(linkat(fd, "one", fd, "two", 0), 0);
        pack(&(struct tar_tree){.prefix = "", .time = 7}, &tar);
        assert_string_equal(listing(&tar), "f 644 7 one\nh 644 7 two -> one\n");
}

/* The owner, group and mode of each member, a line each. */
static const char *owners(const struct buf *tar)
{
        static char text[4096];
        struct archive *in = archive_read_new();
        struct archive_entry *entry;
        size_t len = 0;

        assert_int_equal(archive_read_support_format_tar(in), ARCHIVE_OK);
        assert_int_equal(archive_read_open_memory(in, tar->data, tar->len), ARCHIVE_OK);
        text[0] = '\0';
        while (archive_read_next_header(in, &entry) == ARCHIVE_OK) {
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%lld:%lld:%o %s\n",
                                        (long long)archive_entry_uid(entry),
                                        (long long)archive_entry_gid(entry),
                                        (unsigned)archive_entry_perm(entry), archive_entry_pathname(entry));
                assert_true(len < sizeof(text));
        }
        archive_read_free(in);
        return text;
}

static void owner_put(int dir_fd, const char *name, const char *text)
{
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

        if (fsetxattr(fd, TAR_TREE_OWNER, text, strlen(text), 0) < 0) {
                print_message("no attributes of users on this file system\n");
                skip();
        }
}

static void test_owners_of_the_distributions_files_count_where_it_is_said(void **state)
{
        static const char *const odd[] = {"0:0:",        "-1:0:644", "0:99999999:644", "0:0:644 ",
                                          "root:0:0644", "",         "0:0:9",          "0:0"};
        own_fd int fd = tree_fd();
        own_buf struct buf tar = {0}, flat = {0};
        char name[8];

        (void)state;
        put_text(fd, "a/shadow", "x");
        put_text(fd, "su", "x");
        owner_put(fd, "a", "7:8:2750");
        owner_put(fd, "a/shadow", "0:42:640");
        owner_put(fd, "su", "0:0:4755");
        assert_int_equal(linkat(fd, "su", fd, "sv", 0), 0);
        for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
                snprintf(name, sizeof(name), "t%zu", i);
                put_text(fd, name, "x");
                owner_put(fd, name, odd[i]);
        }
        pack(&(struct tar_tree){.prefix = "", .owners = true}, &tar);
        assert_string_equal(owners(&tar),
                            "7:8:2750 a/\n0:42:640 a/shadow\n0:0:4755 su\n0:0:4755 sv\n0:0:644 t0\n"
                            "0:0:644 t1\n0:0:644 t2\n0:0:644 t3\n0:0:644 t4\n0:0:644 t5\n"
                            "0:0:644 t6\n0:0:644 t7\n");
        pack(&(struct tar_tree){.prefix = ""}, &flat);
        assert_non_null(strstr(owners(&flat), "0:0:755 a/\n0:0:644 a/shadow\n0:0:644 su\n0:0:644 sv\n"));
}

static void test_whiteouts_take_the_form_of_layers(void **state)
{
        (void)state;
        own_fd int fd = tree_fd();
        own_buf struct buf tar = {0};

        if (mknodat(fd, "gone", S_IFCHR, makedev(0, 0)) < 0) {
                print_message("no right to make a whiteout here\n");
                skip();
        }
        put_text(fd, "anew/file", "x");
        own_fd int folder = openat(fd, "anew", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fsetxattr(folder, "user.overlay.opaque", "y", 1, 0) < 0 &&
            fsetxattr(folder, "trusted.overlay.opaque", "y", 1, 0) < 0) {
                print_message("no extended attributes here\n");
                skip();
        }
        pack(&(struct tar_tree){.prefix = ""}, &tar);
        assert_string_equal(listing(&tar), "d 755 0 anew/\nf 644 0 anew/.wh..wh..opq\nf 644 0 anew/file\n"
                                           "f 644 0 .wh.gone\n");
}

static void test_pipes_and_devices_stay_out(void **state)
{
        (void)state;
        own_fd int fd = tree_fd();
        own_buf struct buf tar = {0};

        assert_int_equal(mkfifoat(fd, "pipe", 0644), 0);
        put_text(fd, "file", "");
        put_text(fd, "build.p/object", "");
        pack(&(struct tar_tree){.prefix = "", .except = ".p"}, &tar);
        assert_string_equal(listing(&tar), "f 644 0 file\n");
}

static void test_the_time_that_bytecode_names_is_kept(void **state)
{
        (void)state;
        own_fd int fd = tree_fd();
        own_buf struct buf tar = {0};
        /* PEP 552: magic, flags, time, size. */
        char head[17] = "\xa7\x0d\x0d\x0a\0\0\0\0\x40\x42\x0f\0\x04\0\0\0";
        struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};

        put_text(fd, "mod.py", "pass");
        put_text(fd, "other.py", "pass");
        put_text(fd, "__pycache__/mod.cpython-311.pyc", "");
        own_fd int pyc = openat(fd, "__pycache__/mod.cpython-311.pyc", O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(pyc, head, 16), 16);
        assert_int_equal(utimensat(fd, "mod.py", times, 0), 0);
        assert_int_equal(utimensat(fd, "other.py", times, 0), 0);
        pack(&(struct tar_tree){.prefix = ""}, &tar);
        assert_string_equal(listing(&tar), "d 755 0 __pycache__/\n"
                                           "f 644 0 __pycache__/mod.cpython-311.pyc\n"
                                           "f 644 1000000 mod.py\nf 644 0 other.py\n");
}

static void test_long_and_foreign_names_come_back_as_they_were(void **state)
{
        (void)state;
        own_fd int fd = tree_fd();
        own_buf struct buf tar = {0};
        char folder[101], name[201], target[301];
        char wanted[1024], path[512];

        memset(folder, 'd', 100);
        folder[100] = '\0';
        memset(name, 'n', 200);
        name[200] = '\0';
        memset(target, 't', 300);
        target[300] = '\0';
        snprintf(path, sizeof(path), "%s/%s", folder, name);
        put_text(fd, path, "x");
        snprintf(path, sizeof(path), "%s/%.90s", folder, name);
        put_text(fd, path, "y");
        put_link(fd, "link", target);
        put_text(fd, "gr\xc3\xbc\xc3\x9f", "z");
        pack(&(struct tar_tree){.prefix = ""}, &tar);
        snprintf(wanted, sizeof(wanted),
                 "d 755 0 %s/\nf 644 0 %s/%.90s\nf 644 0 %s/%s\nf 644 0 gr\xc3\xbc\xc3\x9f\nl 777 0 link -> "
                 "%s\n",
                 folder, folder, name, folder, name, target);
        assert_string_equal(listing(&tar), wanted);
}

/* A layout of the tree below `out`. */
static struct oci_blob layout(int out_fd, uint64_t bytes_max, enum err_code wanted)
{
        own_fd int fd = tree_fd();
        __attribute__((cleanup(oci_close))) struct oci oci = {0};
        struct oci_blob manifest = {0};
        struct err err = {0};
        json_t *config = json_pack("{ss}", "User", "65532");
        struct oci_about about = {.architecture = "amd64", .config = config, .ref_name = "latest"};
        enum err_code code = oci_open(&oci, out_fd, 0, bytes_max, &err);

        if (code == ERR_OK)
                code = oci_layer_tree(&oci, fd, &(struct tar_tree){.prefix = "function"}, "a test", &err);
        if (code == ERR_OK)
                code = oci_image(&oci, &about, &manifest, &err);
        json_decref(config);
        if (code != wanted)
                fail_msg("%s", err.text);
        return manifest;
}

static json_t *blob_json(int out_fd, const char *digest)
{
        char path[128];

        snprintf(path, sizeof(path), "blobs/sha256/%s", digest + 7);

        const char *text = get_text(out_fd, path);
        json_t *json = text != NULL ? json_loads(text, 0, NULL) : NULL;

        assert_non_null(json);
        return json;
}

static void test_the_same_tree_has_the_same_digest(void **state)
{
        (void)state;
        own_fd int fd = tree_fd();
        struct timespec times[2] = {{.tv_sec = 12345}, {.tv_sec = 12345}};

        assert_int_equal(mkdirat(place.fd, "again", 0755), 0);
        own_fd int again_fd = openat(place.fd, "again", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        put_text(fd, "hello.py", "def handle(context, payload): return payload\n");

        struct oci_blob first = layout(place.out_fd, BYTES_MAX, ERR_OK);
        assert_int_equal(utimensat(fd, "hello.py", times, 0), 0);
        struct oci_blob second = layout(again_fd, BYTES_MAX, ERR_OK);

        assert_string_equal(first.digest, second.digest);
        put_text(fd, "hello.py", "def handle(context, payload): return 1\n");
        struct oci_blob third = layout(again_fd, BYTES_MAX, ERR_OK);
        assert_string_not_equal(first.digest, third.digest);
}

static void test_documents_refer_to_what_is_there(void **state)
{
        (void)state;
        own_fd int fd = tree_fd();

        put_text(fd, "hello.py", "x = 1\n");
        struct oci_blob blob = layout(place.out_fd, BYTES_MAX, ERR_OK);

        json_t *index = json_loads(get_text(place.out_fd, "index.json"), 0, NULL);
        json_t *entry = json_array_get(json_object_get(index, "manifests"), 0);
        assert_string_equal(json_string_value(json_object_get(entry, "digest")), blob.digest);
        assert_int_equal(json_integer_value(json_object_get(entry, "size")), blob.size);

        json_t *manifest = blob_json(place.out_fd, blob.digest);
        json_t *layer = json_array_get(json_object_get(manifest, "layers"), 0);
        assert_string_equal(json_string_value(json_object_get(layer, "mediaType")), OCI_TYPE_LAYER_GZIP);
        json_t *config =
                blob_json(place.out_fd,
                          json_string_value(json_object_get(json_object_get(manifest, "config"), "digest")));
        assert_string_equal(json_string_value(json_object_get(json_object_get(config, "config"), "User")),
                            "65532");
        assert_int_equal(json_array_size(json_object_get(json_object_get(config, "rootfs"), "diff_ids")), 1);
        json_decref(config);
        json_decref(manifest);
        json_decref(index);
        assert_string_equal(get_text(place.out_fd, "oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
}

static void test_an_image_past_its_bound_is_refused_and_leaves_no_part(void **state)
{
        (void)state;
        own_fd int fd = tree_fd();

        put_text(fd, "hello.py", "x = 1\n");
        layout(place.out_fd, 64, ERR_TOO_LARGE);
        own_fd int blobs = openat(place.out_fd, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(count_entries(blobs), 0);
}

static void test_a_blob_is_taken_only_if_it_is_what_it_says(void **state)
{
        (void)state;
        __attribute__((cleanup(oci_close))) struct oci oci = {0};
        struct err err = {0};
        struct oci_layer layer = {
                .blob = {"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 3},
                .media_type = OCI_TYPE_LAYER_GZIP};

        put_text(place.fd, "good", "abc");
        put_text(place.fd, "bad", "abd");
        assert_int_equal(oci_open(&oci, place.out_fd, 0, BYTES_MAX, &err), ERR_OK);
        assert_int_equal(oci_layer_blob(&oci, place.fd, "good", &layer, &err), ERR_OK);
        assert_int_equal(oci_layer_blob(&oci, place.fd, "bad", &layer, &err), ERR_CORRUPT);
        assert_int_equal(oci_layer_blob(&oci, place.fd, "none", &layer, &err), ERR_NOT_FOUND);
        assert_int_equal(oci.layer_count, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                TEST(test_members_are_sorted_and_say_nothing_of_the_machine),
                TEST(test_a_second_name_is_a_hard_link),
                TEST(test_owners_of_the_distributions_files_count_where_it_is_said),
                TEST(test_whiteouts_take_the_form_of_layers),
                TEST(test_pipes_and_devices_stay_out),
                TEST(test_the_time_that_bytecode_names_is_kept),
                TEST(test_long_and_foreign_names_come_back_as_they_were),
                TEST(test_the_same_tree_has_the_same_digest),
                TEST(test_documents_refer_to_what_is_there),
                TEST(test_an_image_past_its_bound_is_refused_and_leaves_no_part),
                TEST(test_a_blob_is_taken_only_if_it_is_what_it_says),
#undef TEST
        };

        setlocale(LC_CTYPE, "C.UTF-8"); /* libarchive wants it for pax headers */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
