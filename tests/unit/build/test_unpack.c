/* tests/unit/build/test_unpack.c: source archives, as clients make them and as an attacker does. */
#include "build/unpack.h"

#include "base/own.h"
#include "support.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { TAR_MAX = 64 << 20, BYTES_MAX = 1 << 20, FILES_MAX = 50 };

struct box {
        struct place place;
        struct tree tree;
        struct buf tar;
        struct err err;
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

/* Whatever the archive was: beside the folder nothing has changed. */
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

static enum err_code unpack_as(struct box *box, bool gzip)
{
        own_fd int fd = archive_fd(&box->tar, gzip);

        return unpack_archive(fd, &box->tree, &box->err);
}

static enum err_code unpack(struct box *box)
{
        return unpack_as(box, true);
}

/* The archive is refused with this code, and the text says this. */
static void refused(struct box *box, enum err_code code, const char *text)
{
        assert_int_equal(unpack(box), code);
        if (strstr(box->err.text, text) == NULL)
                fail_msg("'%s' is not in '%s'", text, box->err.text);
}

static void keeps_content_time_and_the_executable_bit_and_no_other_mode(void **state)
{
        struct box *box = *state;
        struct stat st;

        tar_put(&box->tar, "run", '0', "", 04750, "#!/bin/sh\n", 10);
        tar_put(&box->tar, "data", '0', "", 0600, "x", 1);
        tar_put(&box->tar, "sub", '5', "", 01777, "", 0);
        tar_put(&box->tar, "sub/deep/file", '0', "", 0666, "y", 1);
        tar_end(&box->tar);
        assert_int_equal(unpack(box), ERR_OK);
        assert_string_equal(get_text(box->place.out_fd, "run"), "#!/bin/sh\n");
        assert_int_equal(get_mode(box->place.out_fd, "run"), 0755);
        assert_int_equal(get_mode(box->place.out_fd, "data"), 0644);
        assert_int_equal(get_mode(box->place.out_fd, "sub"), 0755);
        assert_int_equal(get_mode(box->place.out_fd, "sub/deep/file"), 0644);
        assert_int_equal(fstatat(box->place.out_fd, "data", &st, 0), 0);
        assert_int_equal(st.st_mtim.tv_sec, 1538689412);
        assert_int_equal(box->tree.files, 5);
        assert_int_equal(box->tree.bytes, 12);
}

static void takes_the_names_that_the_old_clients_write(void **state)
{
        struct box *box = *state;

        tar_file(&box->tar, "./hello.py", "a");
        tar_file(&box->tar, ".//other.py", "b");
        tar_file(&box->tar, "./sub//x.txt", "c");
        tar_end(&box->tar);
        assert_int_equal(unpack(box), ERR_OK);
        assert_string_equal(get_text(box->place.out_fd, "hello.py"), "a");
        assert_string_equal(get_text(box->place.out_fd, "other.py"), "b");
        assert_string_equal(get_text(box->place.out_fd, "sub/x.txt"), "c");
}

static void takes_an_archive_without_an_end_and_without_padding(void **state)
{
        struct box *box = *state;

        tar_file(&box->tar, "./first.py", "first");
        tar_file(&box->tar, "./hello.py", "def handle(context, payload): pass\n");
        box->tar.len -= 512 - 35; /* the padding of the last member */
        assert_int_equal(unpack(box), ERR_OK);
        assert_string_equal(get_text(box->place.out_fd, "hello.py"), "def handle(context, payload): pass\n");
}

static void tells_an_archive_that_was_cut_off_in_its_last_member(void **state)
{
        struct box *box = *state;

        tar_file(&box->tar, "./first.py", "first");
        tar_file(&box->tar, "./hello.py", "def handle(context, payload): pass\n");
        box->tar.len -= 512 - 34; /* and the last byte of its content */
        refused(box, ERR_INVALID, "member './hello.py': the archive is cut off");
}

static void tells_an_archive_that_was_cut_off_blocks_before_its_end(void **state)
{
        struct box *box = *state;
        char bytes[2000];

        memset(bytes, 'x', sizeof(bytes));
        tar_put(&box->tar, "big", '0', "", 0644, bytes, sizeof(bytes));
        box->tar.len -= 600;
        refused(box, ERR_INVALID, "cut off");
}

static void tells_gzip_that_was_cut_off(void **state)
{
        struct box *box = *state;
        own_fd int fd = -1;
        struct stat st;
        char bytes[3000];

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (char)(i * i * 7 + i / 3);
        tar_put(&box->tar, "big", '0', "", 0644, bytes, sizeof(bytes));
        tar_end(&box->tar);
        fd = archive_fd(&box->tar, true);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(ftruncate(fd, st.st_size / 2), 0);
        assert_int_equal(unpack_archive(fd, &box->tree, &box->err), ERR_INVALID);
}

static void takes_plain_tar(void **state)
{
        struct box *box = *state;

        tar_file(&box->tar, "a", "1");
        tar_end(&box->tar);
        assert_int_equal(unpack_as(box, false), ERR_OK);
        assert_string_equal(get_text(box->place.out_fd, "a"), "1");
}

/* An archive written by libarchive in one of its formats, with one member. */
static int modern_archive(int format, const char *name)
{
        struct archive *out = archive_write_new();
        struct archive_entry *entry = archive_entry_new();
        int fd = memfd_create("archive", MFD_CLOEXEC);

        assert_int_equal(archive_write_set_format(out, format), ARCHIVE_OK);
        assert_int_equal(archive_write_open_fd(out, fd), ARCHIVE_OK);
        archive_entry_set_pathname(entry, name);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0755);
        archive_entry_set_size(entry, 5);
        archive_entry_set_mtime(entry, 1538689412, 5);
        assert_int_equal(archive_write_header(out, entry), ARCHIVE_OK);
        assert_int_equal(archive_write_data(out, "hello", 5), 5);
        archive_entry_free(entry);
        archive_write_close(out);
        archive_write_free(out);
        return fd;
}

static void takes_pax_gnu_and_zip_with_long_and_foreign_names(void **state)
{
        static const int formats[] = {ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, ARCHIVE_FORMAT_TAR_GNUTAR,
                                      ARCHIVE_FORMAT_ZIP};
        struct box *box = *state;
        char name[300];

        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
                snprintf(name, sizeof(name),
                         "%zu/gr\xc3\xbc\xc3\x9f"
                         "e/%0200d",
                         i, 7);

                own_fd int fd = modern_archive(formats[i], name);

                if (unpack_archive(fd, &box->tree, &box->err) != ERR_OK)
                        fail_msg("format %zu: %s", i, box->err.text);
                assert_string_equal(get_text(box->place.out_fd, name), "hello");
                assert_int_equal(get_mode(box->place.out_fd, name), 0755);
        }
}

static void refuses_what_is_no_archive(void **state)
{
        struct box *box = *state;

        buf_append_text(&box->tar, "def handle(context, payload):\n    return payload\n");
        refused(box, ERR_INVALID, "not a tar or zip archive");
}

static void refuses_an_empty_archive(void **state)
{
        struct box *box = *state;

        assert_int_equal(unpack_as(box, false), ERR_INVALID);
        assert_string_equal(box->err.text, "the archive is empty");
        tar_end(&box->tar);
        refused(box, ERR_INVALID, "the archive is empty");
        buf_clear(&box->tar);
        tar_put(&box->tar, "./", '5', "", 0755, "", 0);
        tar_end(&box->tar);
        refused(box, ERR_INVALID, "the archive is empty");
}

static void refuses_names_that_lead_out(void **state)
{
        static const char *const names[] = {"../outside", "a/../../outside", "..", "a/..", "./../outside"};
        struct box *box = *state;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                buf_clear(&box->tar);
                tar_file(&box->tar, names[i], "stolen");
                tar_end(&box->tar);
                refused(box, ERR_INVALID, names[i]);
                assert_non_null(strstr(box->err.text, "'..'"));
        }
}

static void refuses_absolute_names(void **state)
{
        struct box *box = *state;

        tar_file(&box->tar, "/outside", "stolen");
        tar_end(&box->tar);
        refused(box, ERR_INVALID, "'/outside': '/outside' is an absolute path");
}

static void refuses_names_that_are_too_long_or_too_deep(void **state)
{
        struct box *box = *state;
        char name[5000];

        memset(name, 'x', sizeof(name));
        name[300] = '\0';
        own_fd int long_fd = modern_archive(ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, name);
        assert_int_equal(unpack_archive(long_fd, &box->tree, &box->err), ERR_INVALID);
        assert_non_null(strstr(box->err.text, "longer than 255 bytes"));

        for (size_t i = 0; i < 400; i++)
                name[i] = i % 2 == 0 ? 'd' : '/';
        name[399] = '\0';
        own_fd int deep_fd = modern_archive(ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, name);
        assert_int_equal(unpack_archive(deep_fd, &box->tree, &box->err), ERR_INVALID);
        assert_non_null(strstr(box->err.text, "128 folders deep"));
}

static void refuses_to_write_through_a_link(void **state)
{
        struct box *box = *state;

        tar_put(&box->tar, "door", '2', "..", 0777, "", 0);
        tar_file(&box->tar, "door/outside", "stolen");
        tar_end(&box->tar);
        refused(box, ERR_INVALID, "member 'door/outside': it would be written through the link 'door'");
}

static void replaces_a_link_instead_of_writing_to_its_target(void **state)
{
        struct box *box = *state;

        tar_put(&box->tar, "file", '2', "../outside", 0777, "", 0);
        tar_file(&box->tar, "file", "mine");
        tar_end(&box->tar);
        assert_int_equal(unpack(box), ERR_OK);
        assert_null(get_link(box->place.out_fd, "file"));
        assert_string_equal(get_text(box->place.out_fd, "file"), "mine");
}

static void refuses_links_that_lead_out(void **state)
{
        static const char *const targets[] = {"/etc/passwd", "..", "../outside", "sub/../../outside",
                                              "sub/up/../.."};
        struct box *box = *state;

        for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
                buf_clear(&box->tar);
                tar_put(&box->tar, "sub/up", '2', "..", 0777, "", 0);
                tar_put(&box->tar, "link", '2', targets[i], 0777, "", 0);
                tar_end(&box->tar);
                refused(box, ERR_INVALID, "member 'link': it links to a place outside the archive");
        }
}

static void keeps_links_that_stay_inside(void **state)
{
        struct box *box = *state;

        tar_put(&box->tar, "sub/link", '2', "../file", 0777, "", 0);
        tar_put(&box->tar, "dangling", '2', "nowhere/at/all", 0777, "", 0);
        tar_put(&box->tar, "loop", '2', "loop", 0777, "", 0);
        tar_file(&box->tar, "file", "x");
        tar_end(&box->tar);
        assert_int_equal(unpack(box), ERR_OK);
        assert_string_equal(get_link(box->place.out_fd, "sub/link"), "../file");
        assert_string_equal(get_text(box->place.out_fd, "sub/link"), "x");
        assert_string_equal(get_link(box->place.out_fd, "dangling"), "nowhere/at/all");
}

static void makes_hard_links_to_files_of_the_archive_only(void **state)
{
        static const struct {
                const char *target;
                const char *text;
        } cases[] = {
                {"../outside", "'..'"},
                {"/etc/passwd", "an absolute path"},
                {"nothing", "which is no earlier file"},
                {"link", "which is not a file"},
                {"sub", "which is not a file"},
                {"linked/inner", "which is no earlier file"},
                {"b", "links to itself"},
                {".", "links to itself"},
        };
        struct box *box = *state;

        tar_file(&box->tar, "a", "x");
        tar_put(&box->tar, "sub/b", '1', "./a", 0644, "", 0);
        tar_end(&box->tar);
        assert_int_equal(unpack(box), ERR_OK);
        assert_string_equal(get_text(box->place.out_fd, "sub/b"), "x");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                buf_clear(&box->tar);
                tar_put(&box->tar, "link", '2', "a", 0777, "", 0);
                tar_put(&box->tar, "linked", '2', "sub", 0777, "", 0);
                tar_file(&box->tar, "sub/inner", "x");
                tar_put(&box->tar, "b", '1', cases[i].target, 0644, "", 0);
                tar_end(&box->tar);
                refused(box, ERR_INVALID, cases[i].text);
        }
}

static void refuses_devices_pipes_and_sockets_by_name(void **state)
{
        static const struct {
                char type;
                const char *text;
        } cases[] = {
                {'3', "member 'odd': it is a device"},
                {'4', "member 'odd': it is a device"},
                {'6', "member 'odd': it is a named pipe"},
        };
        struct box *box = *state;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                buf_clear(&box->tar);
                tar_put(&box->tar, "odd", cases[i].type, "", 0666, "", 0);
                tar_end(&box->tar);
                refused(box, ERR_INVALID, cases[i].text);
                assert_int_equal(count_entries(box->place.out_fd), 0);
        }
}

static void takes_the_last_of_two_members_of_one_name(void **state)
{
        struct box *box = *state;

        tar_file(&box->tar, "./a", "first, and longer");
        tar_put(&box->tar, "copy", '1', "a", 0644, "", 0);
        tar_put(&box->tar, "a", '0', "", 0755, "second", 6);
        tar_put(&box->tar, "sub/", '5', "", 0755, "", 0);
        tar_put(&box->tar, "sub", '5', "", 0755, "", 0);
        tar_end(&box->tar);
        assert_int_equal(unpack(box), ERR_OK);
        assert_string_equal(get_text(box->place.out_fd, "a"), "second");
        assert_int_equal(get_mode(box->place.out_fd, "a"), 0755);
        assert_string_equal(get_text(box->place.out_fd, "copy"), "first, and longer");
        assert_int_equal(box->tree.files, 3);
}

static void refuses_a_file_and_a_folder_of_one_name(void **state)
{
        struct box *box = *state;

        tar_file(&box->tar, "a", "x");
        tar_file(&box->tar, "a/b", "y");
        tar_end(&box->tar);
        refused(box, ERR_INVALID, "member 'a/b': 'a' is a file, not a folder");
        buf_clear(&box->tar);
        tar_file(&box->tar, "d/b", "y");
        tar_file(&box->tar, "d", "x");
        tar_end(&box->tar);
        refused(box, ERR_INVALID, "member 'd': a folder has this name already");
}

static void keeps_names_of_different_case_apart(void **state)
{
        struct box *box = *state;

        tar_file(&box->tar, "Readme", "1");
        tar_file(&box->tar, "README", "2");
        tar_end(&box->tar);
        assert_int_equal(unpack(box), ERR_OK);
        assert_string_equal(get_text(box->place.out_fd, "Readme"), "1");
        assert_string_equal(get_text(box->place.out_fd, "README"), "2");
}

static void stops_at_the_number_of_files_folders_on_the_way_included(void **state)
{
        struct box *box = *state;
        char name[32];

        for (int i = 0; i < FILES_MAX / 2 + 1; i++) {
                snprintf(name, sizeof(name), "d%d/f", i);
                tar_file(&box->tar, name, "");
        }
        tar_end(&box->tar);
        refused(box, ERR_TOO_LARGE, "more than 50 files");
}

static void stops_at_the_number_of_bytes(void **state)
{
        struct box *box = *state;
        own_mem char *bytes = calloc(1, BYTES_MAX);

        tar_put(&box->tar, "a", '0', "", 0644, bytes, BYTES_MAX - 1);
        tar_put(&box->tar, "b", '0', "", 0644, bytes, 2);
        tar_end(&box->tar);
        refused(box, ERR_TOO_LARGE, "member 'b': more than 1 MiB");
}

static void stops_a_member_that_unpacks_without_end(void **state)
{
        struct box *box = *state;
        own_mem char *bytes = calloc(1, 32 << 20);
        struct stat st;

        tar_put(&box->tar, "bomb", '0', "", 0644, bytes, 32 << 20);
        tar_end(&box->tar);
        refused(box, ERR_TOO_LARGE, "member 'bomb': more than 1 MiB");
        assert_int_equal(fstatat(box->place.out_fd, "bomb", &st, 0), 0);
        assert_true(st.st_size <= BYTES_MAX);
}

static void stops_headers_that_unpack_without_end(void **state)
{
        struct box *box = *state;
        own_mem char *bytes = calloc(1, 700 << 10);

        for (int i = 0; i < 20; i++) /* pax headers that are never used */
                tar_put(&box->tar, "pax", 'x', "", 0644, bytes, 700 << 10);
        tar_file(&box->tar, "a", "x");
        tar_end(&box->tar);
        assert_int_not_equal(unpack(box), ERR_OK);
        assert_int_equal(count_entries(box->place.out_fd), 0);
}

static void counts_the_holes_of_sparse_files(void **state)
{
        struct box *box = *state;
        size_t sum = 0;

        /* GNU's old form: the map in the header, one piece of one byte, and 2 GiB in all. */
        tar_put(&box->tar, "sparse", 'S', "", 0644, "x", 1);
        memcpy(box->tar.data + 257, "ustar  ", 8);
        memcpy(box->tar.data + 386,
               "00000000000\0"
               "00000000001",
               23);
        memcpy(box->tar.data + 483, "20000000000", 12);
        memset(box->tar.data + 148, ' ', 8);
        for (size_t i = 0; i < 512; i++)
                sum += (unsigned char)box->tar.data[i];
        snprintf(box->tar.data + 148, 8, "%06zo", sum);
        tar_end(&box->tar);
        refused(box, ERR_TOO_LARGE, "more than 1 MiB");
}

static void says_nothing_unprintable_about_a_member(void **state)
{
        struct box *box = *state;

        tar_put(&box->tar, "a\033[31m\nb\xff", '3', "", 0644, "", 0);
        tar_end(&box->tar);
        refused(box, ERR_INVALID, "member 'a?[31m?b?': it is a device");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                TEST(keeps_content_time_and_the_executable_bit_and_no_other_mode),
                TEST(takes_the_names_that_the_old_clients_write),
                TEST(takes_an_archive_without_an_end_and_without_padding),
                TEST(tells_an_archive_that_was_cut_off_in_its_last_member),
                TEST(tells_an_archive_that_was_cut_off_blocks_before_its_end),
                TEST(tells_gzip_that_was_cut_off),
                TEST(takes_plain_tar),
                TEST(takes_pax_gnu_and_zip_with_long_and_foreign_names),
                TEST(refuses_what_is_no_archive),
                TEST(refuses_an_empty_archive),
                TEST(refuses_names_that_lead_out),
                TEST(refuses_absolute_names),
                TEST(refuses_names_that_are_too_long_or_too_deep),
                TEST(refuses_to_write_through_a_link),
                TEST(replaces_a_link_instead_of_writing_to_its_target),
                TEST(refuses_links_that_lead_out),
                TEST(keeps_links_that_stay_inside),
                TEST(makes_hard_links_to_files_of_the_archive_only),
                TEST(refuses_devices_pipes_and_sockets_by_name),
                TEST(takes_the_last_of_two_members_of_one_name),
                TEST(refuses_a_file_and_a_folder_of_one_name),
                TEST(keeps_names_of_different_case_apart),
                TEST(stops_at_the_number_of_files_folders_on_the_way_included),
                TEST(stops_at_the_number_of_bytes),
                TEST(stops_a_member_that_unpacks_without_end),
                TEST(stops_headers_that_unpack_without_end),
                TEST(counts_the_holes_of_sparse_files),
                TEST(says_nothing_unprintable_about_a_member),
#undef TEST
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
