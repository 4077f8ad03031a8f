/*
 * runtimes/java/module.c: the agent library as native methods of the class dispatch.agent.Native, which says
 * what each is for. The JVM waits for nothing while the agent waits or sends: native code holds up no other
 * thread and no collection.
 */
#include "runtimes/java/java.h"

#include "base/own.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct java java = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static const char native_class[] = "dispatch/agent/Native", invocation_class[] = "dispatch/agent/Invocation";

static void throw_error(JNIEnv *env, const struct err *err)
{
        jclass class = (*env)->FindClass(env, "java/lang/IllegalStateException");

        agent_complain(err);
        if (class != NULL)
                (*env)->ThrowNew(env, class, "the agent failed");
}

static jobjectArray opened(JNIEnv *env, const char *const *texts, size_t count)
{
        jclass class = (*env)->FindClass(env, "[B");
        jobjectArray array = class != NULL ? (*env)->NewObjectArray(env, (jsize)count, class, NULL) : NULL;

        for (size_t i = 0; array != NULL && i < count; i++) {
                jbyteArray bytes = bytes_of(env, str_of(texts[i]));
                if (bytes == NULL)
                        return NULL;
                (*env)->SetObjectArrayElement(env, array, (jsize)i, bytes);
        }
        return array;
}

static void prepare(void *ctx)
{
        JNIEnv *env = ctx;
        jclass class = (*env)->FindClass(env, "dispatch/agent/Warm");
        jmethodID method = class != NULL ? (*env)->GetStaticMethodID(env, class, "all", "()V") : NULL;

        if (method != NULL)
                (*env)->CallStaticVoidMethod(env, class, method);
        (*env)->ExceptionClear(env);
}

static jobjectArray open_agent(JNIEnv *env, jclass class, jbyteArray handler)
{
        own_buf struct buf text;
        struct agent *agent = NULL;
        struct err err;

        (void)class;
        buf_init(&text, 4096);
        bool given = handler != NULL && bytes_append_text(env, handler, &text);
        agent_while_waiting(prepare, env);
        enum err_code code = agent_open(&agent, &err);
        if (code == ERR_CANCELLED)
                return NULL;
        if (code != ERR_OK) {
                throw_error(env, &err);
                return NULL;
        }
        pthread_rwlock_wrlock(&java.lock);
        java.agent = agent;
        pthread_rwlock_unlock(&java.lock);
        if (agent_prepare(agent, given ? text.data : NULL, &java.function, &err) != ERR_OK)
                return opened(env, (const char *const[]){err.text}, 1);
        return opened(env, (const char *const[]){java.function->handler, java.function->folder}, 2);
}

static jlong reply_bytes_max(JNIEnv *env, jclass class)
{
        (void)env;
        (void)class;
        return (jlong)java.function->reply_bytes_max;
}

static void loaded(JNIEnv *env, jclass class)
{
        struct err err;

        (void)class;
        if (agent_loaded(java.agent, NULL, &err) != ERR_OK)
                throw_error(env, &err);
        else
                atomic_store(&java.serving, true);
}

static bool fill(JNIEnv *env, jobject into, const struct agent_invocation *invocation)
{
        jbyteArray payload = bytes_of(env, invocation->payload);
        jbyteArray context = payload != NULL ? bytes_of(env, invocation->context) : NULL;

        if (context == NULL)
                return false;
        (*env)->SetIntField(env, into, java.kind, (jint)invocation->kind);
        (*env)->SetObjectField(env, into, java.payload, payload);
        (*env)->SetObjectField(env, into, java.context, context);
        (*env)->SetLongField(env, into, java.timeout_ms, (jlong)invocation->timeout_ms);
        return true;
}

/* False: there will be none, or (an exception is pending) it does not fit into the heap. */
static jboolean next(JNIEnv *env, jclass class, jobject into)
{
        struct agent_invocation invocation;
        struct err err;

        (void)class;
        enum err_code code = agent_next(java.agent, true, &invocation, &err);
        if (code == ERR_OK) {
                atomic_store(&java.running, true);
                return fill(env, into, &invocation);
        }
        if (code != ERR_CANCELLED)
                throw_error(env, &err);
        return JNI_FALSE;
}

static void last(JNIEnv *env, jclass class, jint status)
{
        (void)env;
        (void)class;
        agent_exit(java.agent, status);
}

static jint close_agent(JNIEnv *env, jclass class)
{
        (void)env;
        (void)class;
        pthread_rwlock_wrlock(&java.lock);
        int status = agent_exit_status(java.agent);
        agent_close(java.agent);
        java.agent = NULL;
        pthread_rwlock_unlock(&java.lock);
        return status;
}

static void write_plain(int stream, struct str text)
{
        while (text.len > 0) {
                ssize_t n = write(stream, text.p, text.len);
                if (n < 0 && errno != EINTR)
                        return;
                text = str_slice(text, n > 0 ? (size_t)n : 0, text.len);
        }
}

static void log_part(int stream, struct str text)
{
        pthread_rwlock_rdlock(&java.lock);
        if (java.agent == NULL)
                write_plain(stream, text);
        else if (atomic_load(&java.serving) && !atomic_load(&java.running))
                agent_log_outside(java.agent, stream, text);
        else
                agent_log(java.agent, stream, text);
        pthread_rwlock_unlock(&java.lock);
}

/* In parts, so that whatever is printed takes no memory beside Java's own. */
static void log_bytes(JNIEnv *env, jclass class, jint stream, jbyteArray bytes, jint from, jint len)
{
        char part[16384];

        (void)class;
        while (len > 0) {
                jint count = len < (jint)sizeof(part) ? len : (jint)sizeof(part);
                (*env)->GetByteArrayRegion(env, bytes, from, count, (jbyte *)part);
                log_part(stream == 2 ? 2 : 1, (struct str){part, (size_t)count});
                from += count;
                len -= count;
        }
}

static bool find_fields(JNIEnv *env)
{
        jclass class = (*env)->FindClass(env, invocation_class);

        if (class == NULL)
                return false;
        java.kind = (*env)->GetFieldID(env, class, "kind", "I");
        java.payload = (*env)->GetFieldID(env, class, "payload", "[B");
        java.context = (*env)->GetFieldID(env, class, "context", "[B");
        java.timeout_ms = (*env)->GetFieldID(env, class, "timeoutMs", "J");
        return java.kind != NULL && java.payload != NULL && java.context != NULL && java.timeout_ms != NULL;
}

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *vm, void *reserved)
{
#define NATIVE(name, signature, function)                                                                    \
        {                                                                                                    \
                (char *)(name), (char *)(signature), (void *)(function)                                      \
        }
        static const JNINativeMethod methods[] = {
                NATIVE("open", "([B)[[B", open_agent),
                NATIVE("replyBytesMax", "()J", reply_bytes_max),
                NATIVE("loaded", "()V", loaded),
                NATIVE("failed", "([B[B[[B)V", give_failure),
                NATIVE("next", "(Ldispatch/agent/Invocation;)Z", next),
                NATIVE("reply", "(I[B[[B[BI)V", give_reply),
                NATIVE("error", "([B[B[[B)V", give_error),
                NATIVE("last", "(I)V", last),
                NATIVE("close", "()I", close_agent),
                NATIVE("log", "(I[BII)V", log_bytes),
        };
#undef NATIVE
        JNIEnv *env = NULL;

        (void)reserved;
        if ((*vm)->GetEnv(vm, (void **)&env, JNI_VERSION_10) != JNI_OK)
                return JNI_ERR;
        jclass class = (*env)->FindClass(env, native_class);
        if (class == NULL || !find_fields(env) ||
            (*env)->RegisterNatives(env, class, methods, sizeof(methods) / sizeof(methods[0])) != JNI_OK)
                return JNI_ERR;
        return JNI_VERSION_10;
}
