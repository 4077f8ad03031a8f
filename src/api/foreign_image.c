/* api/foreign_image.c: see foreign_image.h. */
#include "api/foreign_image.h"

#include "base/own.h"

#include <stdlib.h>

/* Of what an image may bring along, that it reaches the agent in one frame with the environment. */
enum { COMMAND_BYTES_MAX = 32768, COMMAND_WORDS_MAX = 256 };

struct str foreign_image_of(const json_t *document)
{
        struct str reference = json_str(document, "functionImage");

        return reference.p != NULL ? reference : STR("");
}

/* Labels that the original's images have, and those that are built of them. */
static bool is_of_the_original(const json_t *labels)
{
        return json_object_get(labels, "io.dispatchframework.functionTemplate") != NULL ||
               json_object_get(labels, "io.dispatchframework.imageTemplate") != NULL;
}

const char *foreign_image_protocol(const json_t *document, const json_t *config)
{
        const json_t *labels = json_object_get(config, "Labels");
        struct str chosen = json_str(document, "protocol");

        if (chosen.len == 0)
                chosen = json_str(labels, "io.dispatchframework.protocol");
        if (chosen.len > 0)
                return str_eq(chosen, STR("dispatch")) ? "dispatch" : "http";
        return is_of_the_original(labels) ? "dispatch" : "http";
}

/* A list of strings, or nothing; anything else is no configuration. */
static enum err_code add_words(json_t *argv, const json_t *config, const char *key, struct err *err)
{
        json_t *list = json_object_get(config, key), *word;
        size_t i;

        if (list == NULL || json_is_null(list))
                return ERR_OK;
        if (!json_is_array(list))
                return err_set(err, ERR_UNPROCESSABLE, "the image's %s is no list", key);
        json_array_foreach(list, i, word)
        {
                if (!json_is_string(word))
                        return err_set(err, ERR_UNPROCESSABLE, "the image's %s is no list of texts", key);
                if (json_array_append(argv, word) < 0)
                        return err_nomem(err);
        }
        return ERR_OK;
}

enum err_code foreign_image_command(const json_t *document, const json_t *config, char **ret, struct err *err)
{
        own_json json_t *argv = json_array();
        struct str cwd = json_str(config, "WorkingDir");
        enum err_code code = argv != NULL ? add_words(argv, config, "Entrypoint", err) : err_nomem(err);

        if (code == ERR_OK)
                code = add_words(argv, config, "Cmd", err);
        if (code != ERR_OK)
                return code;
        if (json_array_size(argv) == 0)
                return err_set(err, ERR_UNPROCESSABLE,
                               "the image has neither an Entrypoint nor a Cmd: there is nothing to start");
        own_json json_t *command =
                json_pack("{s:O, s:s%, s:s}", "argv", argv, "cwd", cwd.len > 0 ? cwd.p : "/",
                          cwd.len > 0 ? cwd.len : 1, "protocol", foreign_image_protocol(document, config));
        own_mem char *text = command != NULL ? json_dumps(command, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
        if (text == NULL)
                return err_nomem(err);
        if (strlen(text) > COMMAND_BYTES_MAX || json_array_size(argv) > COMMAND_WORDS_MAX)
                return err_set(err, ERR_UNPROCESSABLE,
                               "the image's command is larger than %d words or %d bytes", COMMAND_WORDS_MAX,
                               COMMAND_BYTES_MAX);
        *ret = take_ptr(&text);
        return ERR_OK;
}
