/* runtimes/java/values.c: between Java's arrays of bytes and C. */
#include "runtimes/java/java.h"

jbyteArray bytes_of(JNIEnv *env, struct str text)
{
        jbyteArray array = (*env)->NewByteArray(env, (jsize)text.len);

        if (array != NULL && text.len > 0)
                (*env)->SetByteArrayRegion(env, array, 0, (jsize)text.len, (const jbyte *)text.p);
        return array;
}

bool bytes_append(JNIEnv *env, jbyteArray array, jint len, struct buf *out)
{
        jsize size = array != NULL ? (*env)->GetArrayLength(env, array) : 0;

        if (len >= 0 && len < size)
                size = len;
        if (size == 0)
                return true;
        if (buf_reserve(out, (size_t)size) != ERR_OK)
                return false;
        (*env)->GetByteArrayRegion(env, array, 0, size, (jbyte *)out->data + out->len);
        out->len += (size_t)size;
        return true;
}

bool bytes_append_text(JNIEnv *env, jbyteArray array, struct buf *out)
{
        size_t at = out->len;

        if (!bytes_append(env, array, -1, out))
                return false;
        for (; at < out->len; at++) {
                if (out->data[at] == '\0')
                        out->data[at] = ' ';
        }
        return buf_append(out, "", 1) == ERR_OK;
}

size_t bytes_append_list(JNIEnv *env, jobjectArray list, size_t max, struct buf *out)
{
        size_t size = list != NULL ? (size_t)(*env)->GetArrayLength(env, list) : 0, count = 0;

        while (count < size && count < max) {
                jobject each = (*env)->GetObjectArrayElement(env, list, (jsize)count);
                size_t before = out->len;
                bool fits = bytes_append_text(env, each, out);

                (*env)->DeleteLocalRef(env, each);
                if (!fits) {
                        out->len = before;
                        break;
                }
                count++;
        }
        return count;
}

struct str text_next(const char **at)
{
        struct str text = str_of(*at);

        *at += text.len + 1;
        return text;
}
