/*
 * model/yaml_print.c: JSON values as YAML, in the shape that the original's encoder gives it: block style,
 * lists not indented under their key, long lines left whole, several lines as a literal block.
 */
#include <yaml.h>

#include "model/yaml.h"

struct writer {
        yaml_emitter_t emitter;
        struct buf *out;
        enum err_code code; /* of the buffer */
        unsigned depth;
};

static bool write_value(struct writer *writer, const json_t *value);

static int write_bytes(void *arg, unsigned char *bytes, size_t len)
{
        struct writer *writer = arg;

        writer->code = buf_append(writer->out, bytes, len);
        return writer->code == ERR_OK;
}

static bool write_scalar(struct writer *writer, struct str text, yaml_scalar_style_t style)
{
        yaml_event_t event;

        /* libyaml may print a plain scalar in quotes where the place asks for it, and says so by both flags.
         */
        return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text.p, (int)text.len, 1,
                                            1, style) &&
               yaml_emitter_emit(&writer->emitter, &event);
}

static bool write_string(struct writer *writer, struct str text)
{
        if (memchr(text.p, '\n', text.len) != NULL)
                return write_scalar(writer, text, YAML_LITERAL_SCALAR_STYLE);
        return write_scalar(writer, text,
                            yaml_is_plain_string(text) ? YAML_PLAIN_SCALAR_STYLE
                                                       : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

static bool write_other(struct writer *writer, const json_t *value)
{
        own_buf struct buf text;

        buf_init(&text, 64);
        writer->code = json_print(value, &text, NULL);
        return writer->code == ERR_OK &&
               write_scalar(writer, (struct str){text.data, text.len}, YAML_PLAIN_SCALAR_STYLE);
}

static bool write_list(struct writer *writer, const json_t *list)
{
        yaml_event_t event;
        yaml_sequence_style_t style =
                json_array_size(list) == 0 ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE;

        if (!yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style) ||
            !yaml_emitter_emit(&writer->emitter, &event))
                return false;
        for (size_t i = 0; i < json_array_size(list); i++)
                if (!write_value(writer, json_array_get(list, i)))
                        return false;
        return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(&writer->emitter, &event);
}

static bool write_map(struct writer *writer, const json_t *map)
{
        json_t *members = (json_t *)map; /* the iterator does not change it */
        yaml_event_t event;
        yaml_mapping_style_t style =
                json_object_size(map) == 0 ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE;

        if (!yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style) ||
            !yaml_emitter_emit(&writer->emitter, &event))
                return false;
        for (void *at = json_object_iter(members); at != NULL; at = json_object_iter_next(members, at))
                if (!write_string(writer,
                                  (struct str){json_object_iter_key(at), json_object_iter_key_len(at)}) ||
                    !write_value(writer, json_object_iter_value(at)))
                        return false;
        return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(&writer->emitter, &event);
}

static bool write_collection(struct writer *writer, const json_t *value)
{
        if (writer->depth == JSON_PRINT_DEPTH_MAX) {
                writer->code = ERR_INVALID;
                return false;
        }
        writer->depth++;
        bool done = json_is_object(value) ? write_map(writer, value) : write_list(writer, value);
        writer->depth--;
        return done;
}

static bool write_value(struct writer *writer, const json_t *value)
{
        if (json_is_object(value) || json_is_array(value))
                return write_collection(writer, value);
        if (json_is_string(value))
                return write_string(writer,
                                    (struct str){json_string_value(value), json_string_length(value)});
        return write_other(writer, value);
}

static bool write_document(struct writer *writer, const json_t *value)
{
        yaml_emitter_t *emitter = &writer->emitter;
        yaml_event_t event;

        return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
               yaml_emitter_emit(emitter, &event) &&
               yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
               yaml_emitter_emit(emitter, &event) && write_value(writer, value) &&
               yaml_document_end_event_initialize(&event, 1) && yaml_emitter_emit(emitter, &event) &&
               yaml_stream_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

enum err_code yaml_print(const json_t *value, struct buf *out, struct err *err)
{
        struct writer writer = {.out = out, .code = ERR_OK};
        size_t len = out->len;

        if (!yaml_emitter_initialize(&writer.emitter))
                return err_nomem(err);
        yaml_emitter_set_output(&writer.emitter, write_bytes, &writer);
        yaml_emitter_set_unicode(&writer.emitter, 1);
        yaml_emitter_set_width(&writer.emitter, -1);
        bool done = write_document(&writer, value);
        yaml_emitter_delete(&writer.emitter);
        if (done)
                return ERR_OK;
        out->len = len;
        if (writer.code == ERR_TOO_LARGE)
                return err_set(err, ERR_TOO_LARGE, "the YAML text is larger than %zu bytes", out->max);
        if (writer.code == ERR_INVALID)
                return err_set(err, ERR_INVALID, "the value is nested deeper than %d levels",
                               JSON_PRINT_DEPTH_MAX);
        return err_nomem(err);
}
