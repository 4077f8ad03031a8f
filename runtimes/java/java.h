/*
 * runtimes/java/java.h: what the files of the library libdispatch-java.so share: module.c is the agent
 * library for the driver in Java (dispatch/agent/Native.java), reply.c what the handler gave, values.c what
 * goes between Java and C.
 *
 * Plain JNI (Java Native Interface, version 10 of it), which is the same in every JVM, so that one build
 * serves them all. Everything but `log` is called by one thread at a time.
 */
#ifndef DISPATCH_JAVA_JAVA_H
#define DISPATCH_JAVA_JAVA_H

#include "runtimes/agent/agent.h"

#include <jni.h>
#include <pthread.h>
#include <stdatomic.h>

enum { FIELDS_MAX = 100, TRACE_LINES_MAX = 512, TEXTS_MAX = 256 << 10, EXIT_AGENT = 70 };

/* The one agent of the process. */
struct java {
        pthread_rwlock_t lock; /* any thread may log: `agent` ends under it */
        struct agent *agent;
        const struct agent_function *function;
        atomic_bool serving;                         /* the handler is loaded */
        atomic_bool running;                         /* an invocation is in hand */
        jfieldID kind, payload, context, timeout_ms; /* of class Invocation */
};
extern struct java java;

/* reply.c: natives */
void give_reply(JNIEnv *env, jclass class, jint status, jbyteArray type, jobjectArray fields, jbyteArray body,
                jint body_len);
void give_error(JNIEnv *env, jclass class, jbyteArray type, jbyteArray message, jobjectArray lines);
void give_failure(JNIEnv *env, jclass class, jbyteArray type, jbyteArray message, jobjectArray lines);

/* values.c */
/* A byte array; NULL with a Java exception when there is no memory. */
jbyteArray bytes_of(JNIEnv *env, struct str text);
/* Appends the first `len` bytes of an array, or all of it (-1). False: it does not fit; no exception is left.
 */
bool bytes_append(JNIEnv *env, jbyteArray array, jint len, struct buf *out);
/* The same with a NUL behind it; NULs within become blanks. */
bool bytes_append_text(JNIEnv *env, jbyteArray array, struct buf *out);
/* Appends up to `max` arrays as texts; returns how many. Takes NULL. */
size_t bytes_append_list(JNIEnv *env, jobjectArray list, size_t max, struct buf *out);
/* The next text of those that were appended; *at moves behind it. */
struct str text_next(const char **at);

#endif
