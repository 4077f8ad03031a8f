/* tests/unit/cli/pack_test.c: what the archive of a source holds, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "base/str.h"
#include "cli/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

static char directory[64];
static struct buf packed;
static struct err err;

static int set_up(void **state)
{
        (void)state;
        snprintf(directory, sizeof(directory), "/tmp/cli_pack_XXXXXX");
        buf_init(&packed, PACK_BYTES_MAX);
        return mkdtemp(directory) != NULL && chdir(directory) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

static int tear_down(void **state)
{
        (void)state;
        buf_finish(&packed);
        return chdir("/") == 0 ? nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) : -1;
}

static void write_file(const char *path, const char *text)
{
        own_file FILE *file = fopen(path, "we");

        assert_non_null(file);
        fputs(text, file);
}

/* "name=content;" of every member, in the archive's order. */
static const char *listing(void)
{
        static char text[8192];
        struct archive *archive = archive_read_new();
        struct archive_entry *entry;
        size_t used = 0;

        archive_read_support_filter_gzip(archive);
        archive_read_support_format_tar(archive);
        assert_int_equal(archive_read_open_memory(archive, packed.data, packed.len), ARCHIVE_OK);
        while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
                char content[256];
                la_ssize_t len = archive_read_data(archive, content, sizeof(content));

                assert_int_equal(archive_entry_filetype(entry), AE_IFREG);
                assert_int_equal(archive_entry_uid(entry), 0);
                used += (size_t)snprintf(text + used, sizeof(text) - used, "%s=%.*s;",
                                         archive_entry_pathname(entry), (int)len, content);
        }
        assert_int_equal(archive_format(archive) & ARCHIVE_FORMAT_BASE_MASK, ARCHIVE_FORMAT_TAR);
        archive_read_free(archive);
        return text;
}

static void packs_as(const char *path, const char *expected)
{
        buf_clear(&packed);
        if (pack_source(path, &packed, &err) != ERR_OK)
                fail_msg("%s", err.text);
        assert_string_equal(listing(), expected);
}

static void refuses(const char *path, const char *text)
{
        buf_clear(&packed);
        assert_int_not_equal(pack_source(path, &packed, &err), ERR_OK);
        assert_string_equal(err.text, text);
}

static void a_single_file_is_one_member(void **state)
{
        (void)state;
        assert_int_equal(mkdir("sub", 0755), 0);
        write_file("sub/hello.py", "x");
        packs_as("sub/hello.py", "./hello.py=x;");
        assert_int_equal(chdir("sub"), 0);
        packs_as("hello.py", "./hello.py=x;");
}

static void a_directory_is_sorted_and_has_files_only(void **state)
{
        (void)state;
        assert_int_equal(mkdir("d", 0755), 0);
        assert_int_equal(mkdir("d/empty", 0755), 0);
        assert_int_equal(mkdir("d/sub", 0755), 0);
        write_file("d/z", "1");
        write_file("d/a", "");
        write_file("d/sub/\xc3\xbc", "2");
        assert_int_equal(mkfifo("d/pipe", 0600), 0);
        packs_as("d", "./a=;./sub/\xc3\xbc=2;./z=1;");
        packs_as("d/", "./a=;./sub/\xc3\xbc=2;./z=1;");
        assert_int_equal(chdir("d"), 0);
        packs_as(".", "./a=;./sub/\xc3\xbc=2;./z=1;");
}

static void packing_twice_gives_the_same_bytes(void **state)
{
        own_buf struct buf again = {.max = PACK_BYTES_MAX};

        (void)state;
        write_file("a", "x");
        assert_int_equal(pack_source(".", &packed, &err), ERR_OK);
        assert_int_equal(pack_source(".", &again, &err), ERR_OK);
        assert_int_equal(packed.len, again.len);
        assert_memory_equal(packed.data, again.data, again.len);
}

static void links_inside_are_what_they_point_to(void **state)
{
        (void)state;
        assert_int_equal(mkdir("d", 0755), 0);
        assert_int_equal(mkdir("d/sub", 0755), 0);
        write_file("d/sub/x", "1");
        assert_int_equal(symlink("sub/x", "d/link"), 0);
        assert_int_equal(symlink("sub", "d/more"), 0);
        assert_int_equal(symlink("../link", "d/sub/up"), 0);
        packs_as("d", "./link=1;./more/up=1;./more/x=1;./sub/up=1;./sub/x=1;");
}

static void links_outside_are_refused_by_name(void **state)
{
        char text[512];

        (void)state;
        assert_int_equal(mkdir("d", 0755), 0);
        assert_int_equal(mkdir("d-other", 0755), 0);
        write_file("d-other/x", "1");
        assert_int_equal(symlink("../d-other/x", "d/link"), 0);
        snprintf(text, sizeof(text), "the link 'd/link' leads out of the source directory, to '%s/d-other/x'",
                 directory);
        refuses("d", text);
}

static void loops_and_dangling_links_are_refused(void **state)
{
        (void)state;
        assert_int_equal(mkdir("d", 0755), 0);
        assert_int_equal(symlink("nothing", "d/link"), 0);
        refuses("d", "resolve the link d/link: no such file or directory");
        assert_int_equal(unlink("d/link"), 0);
        assert_int_equal(symlink("../d", "d/link"), 0);
        refuses("d", "the link 'd/link' leads to a directory that contains it");
}

static void what_is_no_file_is_refused(void **state)
{
        (void)state;
        refuses("none", "failed to determine if path is dir: 'none': stat none: no such file or directory");
        refuses("/dev/null", "'/dev/null' is neither a regular file nor a directory");
}

static void too_large_a_source_names_the_limit(void **state)
{
        (void)state;
        own_fd int fd = open("huge", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(fd, (off_t)PACK_UNPACKED_MAX + 1), 0);
        refuses(".", "the source exceeds the limit of 512 MiB at './huge'");
        buf_finish(&packed);
        packed.max = 20;
        write_file("a", "x");
        refuses("a", "the packed source exceeds the limit of 64 MiB at 'a': leave out what the function does "
                     "not need, or "
                     "move it into the image");
}

static void a_path_too_long_for_the_format_is_refused(void **state)
{
        char name[256];

        (void)state;
        memset(name, 'n', 200);
        name[200] = '\0';
        write_file(name, "x");
        assert_int_not_equal(pack_source(".", &packed, &err), ERR_OK);
        assert_non_null(strstr(err.text, name));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(a_single_file_is_one_member),
                TEST(a_directory_is_sorted_and_has_files_only),
                TEST(packing_twice_gives_the_same_bytes),
                TEST(links_inside_are_what_they_point_to),
                TEST(links_outside_are_refused_by_name),
                TEST(loops_and_dangling_links_are_refused),
                TEST(what_is_no_file_is_refused),
                TEST(too_large_a_source_names_the_limit),
                TEST(a_path_too_long_for_the_format_is_refused),
        };

        return cmocka_run_group_tests_name("cli pack", tests, NULL, NULL);
}
