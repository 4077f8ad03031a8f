/*
 * fuzz/cli_config.c: a configuration file, JSON or YAML by the first byte, is refused or holds nothing but
 * contexts of known keys, settings come out of it without an answer that is half one, and what is written
 * back is read as the same.
 */
#include "base/own.h"
#include "cli/config.h"
#include "model/model.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *nothing(const char *name)
{
        (void)name;
        return NULL;
}

static void check_again(const json_t *root)
{
        own_buf struct buf text = {.max = CONFIG_FILE_MAX * 8};
        own_json json_t *again = NULL;
        struct err err;

        if (model_print_json(root, true, &text, &err) != ERR_OK)
                return;
        assert(config_parse("c.json", (struct str){text.data, text.len}, &again, &err) == ERR_OK);
        assert(json_equal(root, again));
}

static void check_settings(const json_t *context)
{
        static const struct command command = {.name = "dispatch"};
        const struct args args = {.path = {&command}, .depth = 1};
        own_arena struct arena arena = {.max_bytes = 1 << 20};
        struct settings settings;
        struct err err;

        if (settings_resolve(&settings, &arena, &args, nothing, context, &err) != ERR_OK)
                return;
        assert(settings.port > 0 && settings.port <= 65535 && settings.host != NULL);
        assert(settings.api_http_port > 0 && settings.api_https_port <= 65535);
        assert(settings.cookie != NULL && settings.service_account != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct config config = {.path = "c"};
        const json_t *context = NULL;
        struct err err;

        if (size < 1 ||
            config_parse(data[0] % 2 == 0 ? "c.json" : "c.yaml",
                         (struct str){(const char *)data + 1, size - 1}, &config.root, &err) != ERR_OK)
                return 0;
        assert(json_is_object(config.root));
        if (config_current(&config, &context, &err) == ERR_OK)
                check_settings(context);
        check_again(config.root);
        config_finish(&config);
        return 0;
}
