/*
 * json/object.c: objects, a list in the order of insertion and a table of chains. The hash is keyed, so that
 * a server cannot choose keys that collide.
 */
#include "json/internal.h"

#include "base/hash.h"

#include <stdint.h>

enum { BUCKETS_INITIAL = 8 };

json_t *json_object(void)
{
        struct json_object *object = json_memory(sizeof(*object));

        if (object == NULL)
                return NULL;
        *object = (struct json_object){.holder = {.value = {JSON_OBJECT, 1}}};
        return &object->holder.value;
}

size_t json_object_size(const json_t *object)
{
        return json_is_object(object) ? json_as_object(object)->size : 0;
}

static struct json_member **bucket_of(const struct json_object *object, uint64_t hash)
{
        return &object->buckets[hash & (object->bucket_count - 1)];
}

static struct json_member *find(const struct json_object *object, const char *key, size_t len, uint64_t hash)
{
        struct json_member *member = object->buckets != NULL ? *bucket_of(object, hash) : NULL;

        while (member != NULL &&
               (member->hash != hash || member->len != len || memcmp(member->key, key, len) != 0))
                member = member->chain;
        return member;
}

static struct json_member *find_key(const json_t *object, const char *key, size_t len)
{
        if (key == NULL || !json_is_object(object) || json_as_object(object)->size == 0)
                return NULL;
        return find(json_as_object(object), key, len, hash_keyed((struct str){key, len}));
}

json_t *json_object_getn(const json_t *object, const char *key, size_t len)
{
        struct json_member *member = find_key(object, key, len);

        return member != NULL ? member->value : NULL;
}

json_t *json_object_get(const json_t *object, const char *key)
{
        return key != NULL ? json_object_getn(object, key, strlen(key)) : NULL;
}

/* As many buckets as members at least. */
static bool reserve(struct json_object *object)
{
        size_t count = object->bucket_count > 0 ? object->bucket_count * 2 : BUCKETS_INITIAL;
        struct json_member **buckets;

        if (object->size < object->bucket_count)
                return true;
        if (count > SIZE_MAX / 2 / sizeof(struct json_member *))
                return false;
        buckets = json_memory(count * sizeof(struct json_member *));
        if (buckets == NULL)
                return false;
        memset(buckets, 0, count * sizeof(struct json_member *));
        json_memory_free(object->buckets);
        object->buckets = buckets;
        object->bucket_count = count;
        for (struct json_member *member = object->first; member != NULL; member = member->after) {
                struct json_member **bucket = bucket_of(object, member->hash);
                member->chain = *bucket;
                *bucket = member;
        }
        return true;
}

static bool insert(struct json_object *object, const char *key, size_t len, uint64_t hash, json_t *value)
{
        struct json_member *member;

        if (len > SIZE_MAX / 2 || !reserve(object))
                return false;
        member = json_memory(sizeof(*member) + len + 1);
        if (member == NULL)
                return false;
        struct json_member **bucket = bucket_of(object, hash);
        *member = (struct json_member){
                .before = object->last, .chain = *bucket, .value = value, .hash = hash, .len = len};
        memcpy(member->key, key, len);
        member->key[len] = '\0';
        *bucket = member;
        *(object->last != NULL ? &object->last->after : &object->first) = member;
        object->last = member;
        object->size++;
        return true;
}

int json_object_setn_new_nocheck(json_t *object, const char *key, size_t len, json_t *value)
{
        if (value == NULL || value == object || key == NULL || !json_is_object(object)) {
                json_decref(value);
                return -1;
        }
        uint64_t hash = hash_keyed((struct str){key, len});
        struct json_member *member = find(json_as_object(object), key, len, hash);
        if (member != NULL) {
                json_t *old = member->value;
                member->value = value;
                json_decref(old);
                return 0;
        }
        if (insert(json_as_object(object), key, len, hash, value))
                return 0;
        json_decref(value);
        return -1;
}

int json_object_setn_new(json_t *object, const char *key, size_t len, json_t *value)
{
        if (key != NULL && json_text_is_utf8(key, len))
                return json_object_setn_new_nocheck(object, key, len, value);
        json_decref(value);
        return -1;
}

int json_object_set_new(json_t *object, const char *key, json_t *value)
{
        return json_object_setn_new(object, key, key != NULL ? strlen(key) : 0, value);
}

int json_object_set_new_nocheck(json_t *object, const char *key, json_t *value)
{
        return json_object_setn_new_nocheck(object, key, key != NULL ? strlen(key) : 0, value);
}

static void unlink_member(struct json_object *object, struct json_member *member)
{
        struct json_member **at = bucket_of(object, member->hash);

        while (*at != member)
                at = &(*at)->chain;
        *at = member->chain;
        *(member->before != NULL ? &member->before->after : &object->first) = member->after;
        *(member->after != NULL ? &member->after->before : &object->last) = member->before;
        object->size--;
}

int json_object_deln(json_t *object, const char *key, size_t len)
{
        struct json_member *member = find_key(object, key, len);

        if (member == NULL)
                return -1;
        unlink_member(json_as_object(object), member);
        json_decref(member->value);
        json_memory_free(member);
        return 0;
}

int json_object_del(json_t *object, const char *key)
{
        return key != NULL ? json_object_deln(object, key, strlen(key)) : -1;
}

int json_object_clear(json_t *object)
{
        if (!json_is_object(object))
                return -1;
        struct json_object *self = json_as_object(object);
        while (self->first != NULL) {
                struct json_member *member = self->first;
                unlink_member(self, member);
                json_decref(member->value);
                json_memory_free(member);
        }
        return 0;
}

void *json_object_iter(json_t *object)
{
        return json_is_object(object) ? json_as_object(object)->first : NULL;
}

void *json_object_iter_at(json_t *object, const char *key)
{
        return key != NULL ? find_key(object, key, strlen(key)) : NULL;
}

void *json_object_iter_next(json_t *object, void *iter)
{
        return json_is_object(object) && iter != NULL ? ((struct json_member *)iter)->after : NULL;
}

const char *json_object_iter_key(void *iter)
{
        return iter != NULL ? ((struct json_member *)iter)->key : NULL;
}

size_t json_object_iter_key_len(void *iter)
{
        return iter != NULL ? ((struct json_member *)iter)->len : 0;
}

json_t *json_object_iter_value(void *iter)
{
        return iter != NULL ? ((struct json_member *)iter)->value : NULL;
}

int json_object_iter_set_new(json_t *object, void *iter, json_t *value)
{
        if (!json_is_object(object) || iter == NULL || value == NULL) {
                json_decref(value);
                return -1;
        }
        struct json_member *member = iter;
        json_t *old = member->value;
        member->value = value;
        json_decref(old);
        return 0;
}

void *json_object_key_to_iter(const char *key)
{
        return key != NULL ? (char *)key - offsetof(struct json_member, key) : NULL;
}

enum update { UPDATE_ALL, UPDATE_EXISTING, UPDATE_MISSING };

static int update(json_t *object, json_t *other, enum update which)
{
        if (!json_is_object(object) || !json_is_object(other))
                return -1;
        for (struct json_member *at = json_as_object(other)->first; at != NULL; at = at->after) {
                bool known = find_key(object, at->key, at->len) != NULL;
                if (which != UPDATE_ALL && known != (which == UPDATE_EXISTING))
                        continue;
                if (json_object_setn_new_nocheck(object, at->key, at->len, json_incref(at->value)) < 0)
                        return -1;
        }
        return 0;
}

int json_object_update(json_t *object, json_t *other)
{
        return update(object, other, UPDATE_ALL);
}

int json_object_update_existing(json_t *object, json_t *other)
{
        return update(object, other, UPDATE_EXISTING);
}

int json_object_update_missing(json_t *object, json_t *other)
{
        return update(object, other, UPDATE_MISSING);
}
