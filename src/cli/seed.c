/* cli/seed.c: the images that every installation of the original began with, for four languages. */
#include "cli/commands.h"
#include "cli/file.h"
#include "cli/stream.h"

static const char seed_images[] = "kind: BaseImage\n"
                                  "name: nodejs-base\n"
                                  "dockerUrl: dispatchframework/nodejs-base:0.0.12\n"
                                  "language: nodejs\n"
                                  "---\n"
                                  "kind: BaseImage\n"
                                  "name: python3-base\n"
                                  "dockerUrl: dispatchframework/python3-base:0.0.12\n"
                                  "language: python3\n"
                                  "---\n"
                                  "kind: BaseImage\n"
                                  "name: powershell-base\n"
                                  "dockerUrl: dispatchframework/powershell-base:0.0.13\n"
                                  "language: powershell\n"
                                  "---\n"
                                  "kind: BaseImage\n"
                                  "name: java-base\n"
                                  "dockerUrl: dispatchframework/java-base:0.0.13\n"
                                  "language: java\n"
                                  "---\n"
                                  "kind: Image\n"
                                  "name: nodejs\n"
                                  "baseImageName: nodejs-base\n"
                                  "---\n"
                                  "kind: Image\n"
                                  "name: python3\n"
                                  "baseImageName: python3-base\n"
                                  "runtimeDependencies:\n"
                                  "  manifest: |\n"
                                  "    requests\n"
                                  "---\n"
                                  "kind: Image\n"
                                  "name: powershell\n"
                                  "baseImageName: powershell-base\n"
                                  "---\n"
                                  "kind: Image\n"
                                  "name: java\n"
                                  "baseImageName: java-base\n";

static enum err_code run(struct cli *cli, const struct stream_verb *verb, struct err *err)
{
        return stream_run_text(cli, verb, "seed-images", str_of(seed_images), err);
}

enum err_code seed_create(struct cli *cli, struct err *err)
{
        const char *path = args_text(&cli->args, "output-file");
        own_buf struct buf text = {.max = sizeof(seed_images)};

        if (path == NULL || path[0] == '\0')
                return run(cli, &stream_verb_create, err);
        if (buf_append_text(&text, seed_images) != ERR_OK)
                return err_nomem(err);
        return file_write(path, &text, err);
}

enum err_code seed_apply(struct cli *cli, struct err *err)
{
        return run(cli, &stream_verb_apply, err);
}

enum err_code seed_delete(struct cli *cli, struct err *err)
{
        return run(cli, &stream_verb_delete, err);
}
