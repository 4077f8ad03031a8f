/*
 * build/base_image.c: options, mmdebstrap into a layer, the image's configuration, and where it goes.
 *
 * The layout is made in a folder of its own and then put in its place or handed to skopeo
 * (build/layout_copy.h), so that what is there is whole.
 */
#include "build/base_image.h"

#include "base/own.h"
#include "build/apt_sources.h"
#include "build/debroot.h"
#include "build/dpkg.h"
#include "build/layout_copy.h"
#include "build/oci_write.h"
#include "build/tool.h"
#include "build/tree.h"
#include "image/registries.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
        EXIT_USAGE = 2,
        MIRRORS_MAX = 16,
        INCLUDES_MAX = 4096,
        REFERENCE_MAX = 1024,
        RELEASE_FILE_MAX = 65536
};

#define IMAGE_BYTES_MAX (UINT64_C(16) << 30)

static const char mirror_default[] = "http://deb.debian.org/debian";
/* The signal that asked to end; what was begun is removed first. */
static volatile sig_atomic_t stopped;

static const char user_of_image[] = "1000:1000";

struct base_image {
        const char *language;
        const char *output, *suite, *keyring, *authfile, *authority;
        const char *mirrors[MIRRORS_MAX + 1];
        size_t mirror_count;
        bool insecure, quiet;
        uint64_t epoch;
        char suite_of_host[DEBROOT_SUITE_MAX];
        char output_default[REFERENCE_MAX];
        char tag[128];
        struct runtime runtime;
        struct buf packages;
        struct tar_out *layer;
        struct registries *registries; /* NULL without --registry-ca */
};

static const char help_text[] =
        "Usage: dispatch-server base-image LANGUAGE [OPTION]...\n"
        "\n"
        "Makes a base image for a language from Debian's packages, with mmdebstrap: what the runtime's "
        "manifest\n"
        "names, and apt. The same suite, mirror and date give the same image, to its digest. Prints the "
        "digest\n"
        "and where the image is.\n"
        "\n"
        "      --output DESTINATION  oci:FOLDER[:TAG], oci-archive:FILE[:TAG] or docker://REFERENCE\n"
        "                            (default oci:LANGUAGE-SUITE in the working directory); all but a new "
        "oci:\n"
        "                            folder go through skopeo\n"
        "      --suite SUITE         Debian's release by codename (default: this host's, where it is "
        "Debian)\n"
        "      --mirror URL          where the packages come from, or a line of a sources.list; may be "
        "given\n"
        "                            again (default: Debian's mirrors with updates and security). One of\n"
        "                            snapshot.debian.org makes the image again at any later time\n"
        "      --keyring FILE        keys that the mirrors' releases are signed with\n"
        "      --authfile FILE       credentials for the registry, as skopeo takes them\n"
        "      --registry-ca PATH    certificates to trust beside the system's: a file, or a folder of *.crt "
        "and "
        "*.pem\n"
        "      --insecure            the registry has no TLS, or a certificate that is not to be checked\n"
        "      --quiet               do not show what mmdebstrap does\n"
        "      --help                this text\n"
        "\n"
        "SOURCE_DATE_EPOCH in the environment is the latest time in the image (default: the release's own).\n"
        "It takes root, or a user that may make user namespaces. docs/base-images.md has more.\n";

static const struct option long_options[] = {
        {"output", required_argument, NULL, 'o'},   {"suite", required_argument, NULL, 's'},
        {"mirror", required_argument, NULL, 'm'},   {"keyring", required_argument, NULL, 'k'},
        {"authfile", required_argument, NULL, 'a'}, {"registry-ca", required_argument, NULL, 'c'},
        {"insecure", no_argument, NULL, 'i'},       {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
};

/* What getopt says itself is one line already. 'h': show the help. */
static int options_read(struct base_image *image, int argc, char **argv)
{
        int option;

        optind = 1;
        while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
                switch (option) {
                case 'o':
                        image->output = optarg;
                        break;
                case 's':
                        image->suite = optarg;
                        break;
                case 'm':
                        if (image->mirror_count == MIRRORS_MAX) {
                                fprintf(stderr, "base-image: --mirror may be given %d times\n", MIRRORS_MAX);
                                return -1;
                        }
                        image->mirrors[image->mirror_count++] = optarg;
                        break;
                case 'k':
                        image->keyring = optarg;
                        break;
                case 'a':
                        image->authfile = optarg;
                        break;
                case 'c':
                        image->authority = optarg;
                        break;
                case 'i':
                        image->insecure = true;
                        break;
                case 'q':
                        image->quiet = true;
                        break;
                case 'h':
                        return 'h';
                default:
                        return -1;
                }
        }
        if (optind != argc - 1) {
                fputs("base-image: name one language: dispatch-server base-image python3 (--help says "
                      "more)\n",
                      stderr);
                return -1;
        }
        image->language = argv[optind];
        return 0;
}

/* VERSION_CODENAME of os-release(5), where ID is debian. */
static bool host_suite(char out[DEBROOT_SUITE_MAX])
{
        own_buf struct buf text = {.max = RELEASE_FILE_MAX};
        struct str id, codename;

        if (dpkg_read_file(AT_FDCWD, "/etc/os-release", &text, NULL) != ERR_OK)
                return false;
        apt_sources_release((struct str){text.data, text.len}, &id, &codename);
        snprintf(out, DEBROOT_SUITE_MAX, "%.*s", STR_ARG(codename));
        return str_eq(id, STR("debian")) && out[0] != '\0';
}

static enum err_code suite_find(struct base_image *image, struct err *err)
{
        if (image->suite == NULL) {
                if (!host_suite(image->suite_of_host))
                        return err_set(err, ERR_INVALID,
                                       "this host is not Debian: choose a release of Debian "
                                       "with --suite, such as --suite bookworm");
                image->suite = image->suite_of_host;
        }
        if (!debroot_suite_valid(image->suite))
                return err_set(err, ERR_INVALID, "--suite takes a codename such as bookworm, not '%s'",
                               image->suite);
        return ERR_OK;
}

static enum err_code runtime_find_in(const char *runtimes, struct base_image *image, struct err *err)
{
        struct runtime_table table = {.count = 0};
        char known[200];
        enum err_code code = runtime_table_load(runtimes, &table, err);

        if (code != ERR_OK)
                return code;
        const struct runtime *found = runtime_find(&table, str_of(image->language));
        if (found != NULL)
                image->runtime = *found;
        else
                runtime_table_list(&table, known, sizeof(known));
        runtime_table_finish(&table);
        if (found == NULL)
                return err_set(err, ERR_INVALID, "there is no runtime for '%s': it can be one of %s",
                               image->language, known);
        if (image->runtime.packages[0] == '\0')
                return err_set(err, ERR_INVALID, "the manifest of the runtime '%s' names no packages",
                               image->language);
        return debroot_packages(&image->runtime, &image->packages, err);
}

/* The URL in a mirror that was given as a line of a sources.list; a URL is itself. */
static void mirror_url(const char *mirror, char *out, size_t size)
{
        struct str rest = str_of(mirror), word = str_cut(&rest, ' ');

        if (str_eq(word, STR("deb"))) {
                rest = str_trim(rest, " ");
                if (rest.len > 0 && rest.p[0] == '[')
                        (void)str_cut(&rest, ']');
                rest = str_trim(rest, " ");
                word = str_cut(&rest, ' ');
        }
        snprintf(out, size, "%.*s", STR_ARG(word));
}

static enum err_code epoch_find(struct base_image *image, struct err *err)
{
        const char *given = getenv("SOURCE_DATE_EPOCH");
        char url[REFERENCE_MAX];

        if (given != NULL && given[0] != '\0') {
                if (!str_to_u64(str_of(given), &image->epoch) || image->epoch > UINT32_MAX)
                        return err_set(err, ERR_INVALID, "SOURCE_DATE_EPOCH is '%s', not a number of seconds",
                                       given);
                return ERR_OK;
        }
        mirror_url(image->mirror_count > 0 ? image->mirrors[0] : mirror_default, url, sizeof(url));
        return debroot_epoch(url, image->suite, &image->epoch, err);
}

static void on_signal(int number)
{
        stopped = number;
}

/* A second one ends the program at once. What was ignored stays so. */
static void signals_watch(void)
{
        static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, before;

        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
                        (void)sigaction(numbers[i], &action, NULL);
        }
}

static enum err_code on_tick(void *arg, struct err *err)
{
        (void)arg;
        return stopped != 0 ? err_set(err, ERR_CANCELLED, "ended by signal %d", (int)stopped) : ERR_OK;
}

static void on_line(void *arg, struct str line)
{
        const struct base_image *image = arg;

        if (!image->quiet)
                fprintf(stderr, "%.*s\n", STR_ARG(line));
}

static enum err_code on_data(void *arg, const void *bytes, size_t len, struct err *err)
{
        struct base_image *image = arg;

        return image->layer->write(image->layer->arg, bytes, len, err);
}

static json_t *config_json(const struct base_image *image)
{
        char title[SPAWN_NAME_MAX + 16];

        snprintf(title, sizeof(title), "%s-base", image->language);
        return json_pack("{sss[ss]sss[s]s{ssssssss}}", "User", user_of_image, "Env",
                         "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                         "WorkingDir", "/", "Cmd",
                         image->runtime.program[0] != '\0' ? image->runtime.program : "/bin/sh", "Labels",
                         "org.opencontainers.image.title", title, "org.opencontainers.image.description",
                         "Base image of Dispatch, from Debian's packages", "io.dispatchframework.language",
                         image->language, "io.dispatchframework.suite", image->suite);
}

static enum err_code layer_make(struct base_image *image, struct oci *oci, struct err *err)
{
        struct debroot root = {.suite = image->suite,
                               .mirrors = image->mirrors,
                               .keyring = image->keyring,
                               .packages = buf_text(&image->packages),
                               .epoch = image->epoch,
                               .data = on_data,
                               .line = on_line,
                               .tick = on_tick,
                               .arg = image};
        struct tar_out out;
        char by[256];
        enum err_code code = root.packages != NULL ? oci_layer_begin(oci, &out, err) : err_nomem(err);

        if (code != ERR_OK)
                return code;
        snprintf(by, sizeof(by), "dispatch-server base-image %s --suite %s", image->language, image->suite);
        image->layer = &out;
        code = debroot_make(&root, err);
        image->layer = NULL;
        return code == ERR_OK ? oci_layer_end(oci, by, err) : code;
}

static enum err_code layout_make(struct base_image *image, int dir_fd, struct oci_blob *ret, struct err *err)
{
        struct oci oci = {.blobs_fd = -1};
        struct oci_about about = {.architecture = oci_architecture(), .ref_name = image->tag};
        enum err_code code = oci_open(&oci, dir_fd, (int64_t)image->epoch, IMAGE_BYTES_MAX, err);

        if (code == ERR_OK)
                code = layer_make(image, &oci, err);
        if (code == ERR_OK) {
                about.config = config_json(image);
                code = about.config != NULL ? oci_image(&oci, &about, ret, err) : err_nomem(err);
                json_decref(about.config);
        }
        oci_close(&oci);
        return code;
}

/* oci:FOLDER[:TAG] of a folder that is not there yet. */
static bool output_is_new_layout(struct base_image *image, char folder[PATH_MAX])
{
        struct stat status;

        if (strncmp(image->output, "oci:", 4) != 0)
                return false;
        struct str tag = str_of(image->output + 4), path = str_cut(&tag, ':');
        if (path.len == 0 || path.len >= PATH_MAX)
                return false;
        snprintf(folder, PATH_MAX, "%.*s", STR_ARG(path));
        if (tag.len > 0)
                snprintf(image->tag, sizeof(image->tag), "%.*s", STR_ARG(tag));
        return lstat(folder, &status) < 0 && errno == ENOENT;
}

static enum err_code output_check(struct base_image *image, struct err *err)
{
        static const char *const kinds[] = {"oci:", "oci-archive:", "docker://"};

        snprintf(image->tag, sizeof(image->tag), "latest");
        if (image->output == NULL) {
                snprintf(image->output_default, sizeof(image->output_default), "oci:%s-%s", image->language,
                         image->suite);
                image->output = image->output_default;
        }
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                size_t len = strlen(kinds[i]);
                if (strncmp(image->output, kinds[i], len) == 0 && image->output[len] != '\0')
                        return ERR_OK;
        }
        return err_set(err, ERR_INVALID,
                       "--output takes oci:FOLDER, oci-archive:FILE or docker://REFERENCE, not '%s'",
                       image->output);
}

/* Where the layout is made: beside the folder it becomes, so that a rename puts it there. */
static void staging_name(const char *folder, bool beside, char out[PATH_MAX + 32])
{
        const char *temporary = getenv("TMPDIR");

        if (beside)
                snprintf(out, PATH_MAX + 32, "%s.XXXXXX", folder);
        else
                snprintf(out, PATH_MAX + 32, "%s/dispatch-base-image.XXXXXX",
                         temporary != NULL && temporary[0] != '\0' ? temporary : "/tmp");
}

static void remove_tree(const char *folder)
{
        const char *argv[] = {"rm", "-rf", "--", folder, NULL};
        struct tool tool = {.argv = argv};
        int status;

        (void)tool_run(&tool, &status, NULL);
}

/* What is wrong with it is said before anything is made. */
static enum err_code credentials_check(struct base_image *image, struct err *err)
{
        struct registries_config config = {
                .insecure = "", .local = "", .auth_file = "", .auth = "", .prefix = ""};

        if (image->authfile != NULL && access(image->authfile, R_OK) < 0)
                return err_set(err, ERR_INVALID, "--authfile: open %s: %s", image->authfile, strerror(errno));
        if (image->authority == NULL)
                return ERR_OK;
        config.authority = image->authority;
        return registries_create(&config, &image->registries, err) == ERR_OK ? ERR_OK : ERR_INVALID;
}

static enum err_code copy_out(const struct base_image *image, const char *folder, struct err *err)
{
        struct layout_copy copy = {
                .folder = folder,
                .tag = image->tag,
                .destination = image->output,
                .authfile = image->authfile,
                .authority = image->registries != NULL ? registries_authority(image->registries) : NULL,
                .insecure = image->insecure};

        return layout_copy(&copy, err);
}

static enum err_code make(struct base_image *image, struct oci_blob *ret, struct err *err)
{
        char folder[PATH_MAX] = "", staging[PATH_MAX + 32];
        bool renamed = output_is_new_layout(image, folder);

        staging_name(folder, renamed, staging);
        if (mkdtemp(staging) == NULL)
                return err_disk(err, "make the folder %s", staging);
        own_fd int dir_fd = open(staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        enum err_code code = dir_fd < 0 || fchmod(dir_fd, 0755) < 0 ? err_sys(err, "open %s", staging)
                                                                    : layout_make(image, dir_fd, ret, err);
        if (code == ERR_OK)
                code = on_tick(NULL, err);
        if (code == ERR_OK && renamed && renameat2(AT_FDCWD, staging, AT_FDCWD, folder, RENAME_NOREPLACE) < 0)
                code = err_disk(err, "put the layout in its place at %s", folder);
        else if (code == ERR_OK && !renamed)
                code = copy_out(image, staging, err);
        if (code != ERR_OK || !renamed)
                remove_tree(staging);
        return code;
}

static enum err_code run(struct base_image *image, const char *runtimes, struct oci_blob *ret,
                         struct err *err)
{
        enum err_code code = suite_find(image, err);

        if (code == ERR_OK)
                code = output_check(image, err);
        if (code == ERR_OK)
                code = credentials_check(image, err);
        if (code == ERR_OK)
                code = runtime_find_in(runtimes, image, err);
        if (code == ERR_OK)
                code = epoch_find(image, err);
        if (code == ERR_OK)
                code = on_tick(NULL, err);
        if (code == ERR_OK)
                code = make(image, ret, err);
        return code;
}

int base_image_main(const char *runtimes, int argc, char **argv)
{
        own_mem struct base_image *image = calloc(1, sizeof(*image));
        struct oci_blob manifest;
        struct err err;

        if (image == NULL)
                return EXIT_FAILURE;
        buf_init(&image->packages, INCLUDES_MAX);
        int asked = options_read(image, argc, argv);
        if (asked == 'h')
                return fputs(help_text, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (asked < 0)
                return EXIT_USAGE;
        signals_watch();
        enum err_code code = run(image, runtimes, &manifest, &err);
        buf_finish(&image->packages);
        registries_destroy(image->registries);
        if (code != ERR_OK) {
                fprintf(stderr, "base-image: %s\n", err.text);
                return code == ERR_INVALID ? EXIT_USAGE : EXIT_FAILURE;
        }
        printf("%s %s\n", manifest.digest, image->output);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
