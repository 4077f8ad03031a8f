/* cli/body.c: flags of the command line as members of a request's body. */
#include "base/own.h"
#include "cli/file.h"
#include "cli/pack.h"
#include "cli/resource.h"

enum { BODY_FILE_MAX = 16 << 20 };

enum err_code body_set(json_t *body, const char *member, json_t *value, struct err *err)
{
        if (value == NULL || json_object_set_new(body, member, value) < 0)
                return err_nomem(err);
        return ERR_OK;
}

static enum err_code not_utf8(const char *flag, struct err *err)
{
        return err_set(err, ERR_INVALID, "invalid argument for \"--%s\" flag: must be UTF-8", flag);
}

enum err_code body_argument(struct cli *cli, json_t *body, const char *member, int index, struct err *err)
{
        const char *text = index < cli->args.count ? cli->args.values[index] : NULL;

        if (text == NULL)
                return ERR_OK;
        if (!str_is_utf8(str_of(text)))
                return err_set(err, ERR_INVALID, "the %s must be UTF-8", member);
        return body_set(body, member, json_string(text), err);
}

enum err_code body_text(struct cli *cli, json_t *body, const char *member, const char *flag, struct err *err)
{
        const char *text = args_text(&cli->args, flag);

        if (text == NULL)
                return ERR_OK;
        if (text[0] == '\0') {
                json_object_del(body, member);
                return ERR_OK;
        }
        if (!str_is_utf8(str_of(text)))
                return not_utf8(flag, err);
        return body_set(body, member, json_string(text), err);
}

enum err_code body_number(struct cli *cli, json_t *body, const char *member, const char *flag,
                          struct err *err)
{
        int64_t number;

        if (!args_number(&cli->args, flag, &number))
                return ERR_OK;
        return body_set(body, member, json_integer(number), err);
}

enum err_code body_list(struct cli *cli, json_t *body, const char *member, const char *flag, struct err *err)
{
        own_json json_t *list = json_array();
        const char *text;
        int at = 0;

        if (args_text(&cli->args, flag) == NULL)
                return ERR_OK;
        while ((text = args_next(&cli->args, flag, &at)) != NULL) {
                struct str rest = str_of(text);
                if (!str_is_utf8(rest))
                        return not_utf8(flag, err);
                while (rest.len > 0) {
                        struct str item = str_cut(&rest, ',');
                        if (item.len > 0 && json_array_append_new(list, json_of(item)) < 0)
                                return err_nomem(err);
                }
        }
        if (json_array_size(list) == 0) {
                json_object_del(body, member);
                return list != NULL ? ERR_OK : err_nomem(err);
        }
        return body_set(body, member, take_ptr(&list), err);
}

enum err_code body_list_or(struct cli *cli, json_t *body, const char *member, const char *flag,
                           json_t *otherwise, struct err *err)
{
        enum err_code code = body_set(body, member, otherwise, err);

        if (code == ERR_OK && args_text(&cli->args, flag) != NULL)
                code = body_list(cli, body, member, flag, err);
        return code;
}

enum err_code body_application(struct cli *cli, json_t *body, struct err *err)
{
        const char *name =
                args_knows(&cli->args, "application") ? args_text(&cli->args, "application") : NULL;
        const json_t *tags = json_object_get(body, "tags");
        own_json json_t *kept = json_array();

        if (name == NULL || name[0] == '\0')
                return ERR_OK;
        if (!str_is_utf8(str_of(name)))
                return not_utf8("application", err);
        for (size_t i = 0; i < json_array_size(tags); i++) {
                json_t *tag = json_array_get(tags, i);
                if (!str_eq(json_str(tag, "key"), STR("Application")) && json_array_append(kept, tag) < 0)
                        return err_nomem(err);
        }
        if (json_array_append_new(kept, json_pack("{s:s, s:s}", "key", "Application", "value", name)) < 0)
                return err_nomem(err);
        return body_set(body, "tags", take_ptr(&kept), err);
}

enum err_code body_file(const char *path, const char *error_prefix, json_t **ret, struct err *err)
{
        own_buf struct buf text = {.max = BODY_FILE_MAX};
        enum err_code code = file_read(path, &text, err);

        if (code == ERR_OK)
                code = json_parse((struct str){text.data != NULL ? text.data : "", text.len}, ret, err);
        return code == ERR_OK ? ERR_OK : err_wrap(err, code, "%s", error_prefix);
}

enum err_code body_base64(json_t *body, const char *member, const struct buf *bytes, struct err *err)
{
        size_t len = base64_encoded_len(bytes->len);
        own_mem char *text = malloc(len + 1);

        if (text == NULL)
                return err_nomem(err);
        base64_encode(bytes->data, bytes->len, text);
        return body_set(body, member, json_stringn_nocheck(text, len), err);
}

enum err_code body_source(json_t *body, const char *doing, const char *name, const char *path,
                          bool has_handler, struct err *err)
{
        own_buf struct buf packed = {.max = PACK_BYTES_MAX};
        bool directory = false;
        enum err_code code = pack_is_directory(path, &directory, err);

        if (code != ERR_OK)
                return code;
        if (directory && !has_handler)
                return err_set(err, ERR_INVALID,
                               "error %s function %s: handler is required, source path %s is a directory",
                               doing, name, path);
        code = pack_source(path, &packed, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "error reading %s", path);
        return body_base64(body, "source", &packed, err);
}
