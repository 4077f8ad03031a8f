/*
 * api/run.h: one run of the API, shared by the files that read it (run_request.c), run it (runs.c) and answer
 * it (run_reply.c). Control loop.
 */
#ifndef DISPATCH_API_RUN_H
#define DISPATCH_API_RUN_H

#include "api/internal.h"
#include "model/json.h"

enum { RUN_FIELDS_MAX = 64 };

struct run_call {
        struct run_call *next;
        struct api *api;
        struct api_call *call;     /* who waits for the answer; NULL: nobody */
        struct run_record *record; /* its inv is the run's */
        bool message_form;         /* inputBytes in, the message of 8.3 out; else the whole run */
        bool accepted;             /* durable: must reach its end, now or after a restart */
        bool waiting;              /* for the function to be READY */
        bool invoked;
        bool cancelled; /* somebody wants it to end */
        uint32_t attempts;
        char *accept;       /* the type that the message is wanted in; "" or NULL: JSON */
        json_t *request;    /* canonical; what inv.fields point into */
        struct buf secrets; /* JSON of the run's own secrets; wiped */
        struct http_field fields[RUN_FIELDS_MAX];
        struct loop_timer *timer; /* deadline of a wait, or the next attempt */
        uint64_t deadline_ms;     /* clock_mono_ms; of a run that is waited for */
};

/* Reads a request into a new run; its call is not taken over on failure. A problem with the input that is the
 * function's to report (broken YAML) ends up in the record as an InputError instead: *ret_over. */
enum err_code run_request_read(struct api_call *call, struct str function, struct run_call **ret,
                               bool *ret_over, struct err *err);
void run_call_destroy(struct run_call *run); /* wipes the secrets; takes NULL */

/* The values of the run's own secrets into run->secrets. ERR_NOT_FOUND in the contract's words. */
enum err_code run_secrets_read(struct run_call *run, struct err *err);

/* Sets the record's error as if the run had failed so. */
void run_fail(struct run_record *record, enum err_code code, const char *type, const char *text);

/* The query's functionName; "" when there is none. */
enum err_code run_function_name(struct api_call *call, struct str *ret, struct err *err);

/* Ends a run that was not invoked: answered and recorded, and gone. */
void run_over_with(struct run_call *run, enum err_code code, const char *type, const char *text);
/* DELETE: ends a run that waits or runs. */
void run_delete(struct api_call *call);

/* GET of one run and of the list. */
void runs_read(struct api_call *call);

/* Answers run->call, which is gone then: 200 with the message or the whole run. */
void run_reply(struct run_call *run);
/* 202 with the run as it stands. */
void run_reply_accepted(struct run_call *run);

#endif
