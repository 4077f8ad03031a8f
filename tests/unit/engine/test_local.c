/*
 * The local engine against a spawn and agents that this test plays, so that it can make them misbehave: what
 * a run is told, what becomes of the instance, what the limits do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/own.h"
#include "engine/local/home.h"
#include "engine/local/local.h"
#include "image/runtime.h"
#include "tests/unit/ring_peer.h"
#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { AGENTS_MAX = 16, STEPS_MAX = 20000, SLOW_STARTS = 3 };

enum behaviour {
        ANSWER,       /* echoes the payload */
        ERROR_REPLY,  /* answers with an InputError */
        SILENT,       /* never answers */
        DIE,          /* closes its channel in the middle of a run */
        OOM,          /* the same, and the kernel killed it for memory */
        GARBAGE,      /* sends bytes that are no frame */
        WRONG_STREAM, /* answers another run */
        HEADER_SPLIT, /* a field with a line break in it */
        TOO_MUCH,     /* a body over the limit */
        NO_LOAD,      /* fails to load its handler */
        LOG_FLOOD,    /* prints more than the log keeps */
        EARLY_END,    /* answers before it has read the request */
        SLOW,         /* answers only once SLOW_STARTS instances have been started */
        REFUSED,      /* says itself that what its function sent is no reply */
        SEVERAL       /* takes runs in hand, and does with them what the test says */
};

enum { HELD_MAX = 64 };

/* A run that an agent has in hand, under SEVERAL. */
struct held {
        uint32_t stream;
        size_t bytes;
        bool whole, reset;
};

struct agent {
        uint64_t id; /* 0: free */
        uint32_t role;
        bool asked; /* of one that is slow */
        struct ring_peer ring;
        struct buf in;
        struct buf body;
        uint32_t stream;
        bool gone;
        struct held held[HELD_MAX];
        size_t held_count;
};

static struct loop *loop;
static struct engine *engine;
static int spawn_fd, link_fd;
static struct agent agents[AGENTS_MAX];
static enum behaviour behaviour;
static struct local_limits limits;
static unsigned starts, kills;
static int kill_loads; /* this many agents are killed from outside before they load */
static bool refuse_start, hold_start;
static uint32_t can_start;                         /* what the language says */
static uint32_t refuse_from;                       /* starts from that role are not there */
static const char *no_template;                    /* why a template says that it is none */
static unsigned roles[SPAWN_ROLE_STEM + 1], froms; /* of the starts so far */
static unsigned freezes, thaws;

static bool agent_argv(void *ctx, const char *language, uint32_t memory_mib, char argv[SPAWN_ARGV_MAX],
                       uint32_t *argc)
{
        (void)ctx;
        (void)language;
        (void)memory_mib;
        memcpy(argv, "/agent", 7);
        *argc = 1;
        return true;
}

static uint32_t agent_starts(void *ctx, const char *language)
{
        (void)ctx;
        (void)language;
        return can_start;
}

static enum err_code no_secrets(void *ctx, const struct revision *revision, int *ret_fd, struct err *err)
{
        (void)ctx;
        (void)revision;
        (void)ret_fd;
        return err_set(err, ERR_NOT_FOUND,
                       "error when retrieving secrets from secret store: [Code: 404] secret x not found");
}

static void setup_with(struct local_limits with)
{
        int pair[2];

        limits = with;
        starts = kills = 0;
        refuse_start = hold_start = false;
        kill_loads = 0;
        can_start = 0;
        refuse_from = 0;
        no_template = "";
        memset(roles, 0, sizeof(roles));
        froms = freezes = thaws = 0;
        behaviour = ANSWER;
        memset(agents, 0, sizeof(agents));
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        spawn_fd = pair[0];
        link_fd = pair[1];
        assert_int_equal(loop_create(&loop, NULL), ERR_OK);
        const struct local_config config = {.control = loop,
                                            .loops = &loop,
                                            .link_fds = &link_fd,
                                            .loop_count = 1,
                                            .limits = limits,
                                            .host = {NULL, agent_argv, no_secrets, agent_starts}};
        assert_int_equal(local_engine_create(&config, &engine, NULL), ERR_OK);
}

static int start(void **state)
{
        (void)state;
        setup_with(local_limits_default);
        return 0;
}

static void agent_finish(struct agent *agent)
{
        ring_peer_close(&agent->ring);
        buf_finish(&agent->in);
        buf_finish(&agent->body);
        *agent = (struct agent){.ring = {.read_fd = -1, .write_fd = -1}};
}

static int stop(void **state)
{
        (void)state;
        engine->ops->destroy(engine);
        loop_step(loop, false);
        loop_destroy(loop);
        for (size_t i = 0; i < AGENTS_MAX; i++) {
                if (agents[i].id != 0)
                        agent_finish(&agents[i]);
        }
        close(spawn_fd);
        close(link_fd);
        return 0;
}

static void send_frame(const union spawn_frame *frame, const int *fds, size_t count)
{
        assert_int_equal(spawn_send(spawn_fd, frame, fds, count, NULL), ERR_OK);
}

static struct agent *agent_find(uint64_t id)
{
        for (size_t i = 0; id != 0 && i < AGENTS_MAX; i++) {
                if (agents[i].id == id)
                        return &agents[i];
        }
        return NULL;
}

static void say_ready(struct agent *agent, const char *why_not)
{
        own_buf struct buf out = {.max = 4096};

        frame_put(&out, FRAME_READY, 0, str_of(why_not));
        assert_int_equal(ring_peer_send(&agent->ring, out.data, out.len), out.len);
}

static void agent_start(const struct spawn_start *start_frame)
{
        union spawn_frame frame = {
                .started = {.head = {.op = SPAWN_STARTED, .id = start_frame->head.id}, .ok = 1}};
        struct agent *agent = agents;
        int fds[CHANNEL_FDS];

        struct agent *from = agent_find(start_frame->from);
        if (start_frame->role == SPAWN_ROLE_INSTANCE)
                starts++;
        roles[start_frame->role]++;
        froms += start_frame->from != 0;
        if (start_frame->from != 0 && (from == NULL || from->role == refuse_from)) {
                frame.started.ok = 0;
                frame.started.code = from == NULL ? ERR_NOT_FOUND : ERR_NOT_IMPLEMENTED;
                snprintf(frame.started.text, sizeof(frame.started.text), "it cannot be forked here");
                send_frame(&frame, NULL, 0);
                return;
        }
        if (from != NULL && from->role == SPAWN_ROLE_STEM) { /* the same process, under another name */
                from->id = start_frame->head.id;
                from->role = SPAWN_ROLE_INSTANCE;
                send_frame(&frame, NULL, 0);
                return;
        }
        if (refuse_start) {
                frame.started.ok = 0;
                frame.started.code = ERR_UNAVAILABLE;
                snprintf(frame.started.text, sizeof(frame.started.text), "no room for a sandbox");
                send_frame(&frame, NULL, 0);
                return;
        }
        if (hold_start)
                return;
        while (agent->id != 0)
                agent++;
        assert_true(agent < agents + AGENTS_MAX);
        *agent = (struct agent){.id = start_frame->head.id, .role = start_frame->role};
        assert_true(ring_peer_make(&agent->ring, RING_AGENT, fds));
        buf_init(&agent->in, 1 << 20);
        buf_init(&agent->body, 1 << 24);
        send_frame(&frame, fds, CHANNEL_FDS);
        for (size_t i = 0; i < CHANNEL_FDS; i++)
                close(fds[i]);
        if (start_frame->role == SPAWN_ROLE_ZYGOTE || (from != NULL && from->role == SPAWN_ROLE_TEMPLATE))
                say_ready(agent, "");
}

static void agent_exit(struct agent *agent, uint32_t by_signal, int value, uint32_t oom_kills)
{
        union spawn_frame frame = {.exited = {.head = {.op = SPAWN_EXITED, .id = agent->id},
                                              .by_signal = by_signal,
                                              .value = value,
                                              .oom_kills = oom_kills}};

        agent_finish(agent);
        send_frame(&frame, NULL, 0);
}

static void play_spawn(void)
{
        union spawn_frame frame;
        int fds[SPAWN_FDS_MAX];
        size_t count;

        while (spawn_receive(spawn_fd, &frame, fds, &count, NULL) == ERR_OK) {
                if (frame.head.op == SPAWN_START)
                        agent_start(&frame.start);
                freezes += frame.head.op == SPAWN_FREEZE;
                thaws += frame.head.op == SPAWN_THAW;
                if (frame.head.op != SPAWN_KILL)
                        continue;
                kills++;
                for (size_t i = 0; i < AGENTS_MAX; i++) {
                        if (agents[i].id == frame.head.id)
                                agent_exit(&agents[i], 1, SIGKILL, 0);
                }
        }
}

static void put(struct agent *agent, struct buf *out)
{
        for (size_t sent = 0; sent < out->len;) {
                ssize_t n = ring_peer_send(&agent->ring, out->data + sent, out->len - sent);
                if (n > 0)
                        sent += (size_t)n;
                else if (n == 0)
                        loop_step(loop, false);
                else
                        return; /* the engine has ended this instance */
        }
}

static void put_head(struct buf *out, uint32_t stream, const char *name, const char *value)
{
        const struct frame_field fields[] = {{STR(":status"), STR("200")},
                                             {STR("content-type"), STR("application/json")},
                                             {str_of(name), str_of(value)}};

        assert_int_equal(frame_put_fields(out, FRAME_HEAD, stream, fields, 3), ERR_OK);
}

static void answer(struct agent *agent)
{
        own_buf struct buf out = {.max = 1 << 24};
        const struct frame_usage usage = {.handler_us = 5, .cpu_us = 7, .memory_peak_bytes = 9};
        struct str body = {agent->body.data, agent->body.len};
        char flood[3000];

        switch (behaviour) {
        case SILENT:
        case SEVERAL:
                return;
        case DIE:
                agent_exit(agent, 0, 3, 0);
                return;
        case OOM:
                agent_exit(agent, 1, SIGKILL, 1);
                return;
        case GARBAGE:
                buf_append_text(&out, "HTTP/1.1 200 OK\r\n\r\nthis is no frame at all");
                put(agent, &out);
                return;
        case HEADER_SPLIT:
                put_head(&out, agent->stream, "x-evil", "a\r\nset-cookie: b");
                break;
        case ERROR_REPLY:
                put_head(&out, agent->stream, "dispatch-error", "InputError");
                body = STR("{\"type\":\"InputError\",\"message\":\"no\",\"stacktrace\":null}");
                break;
        case REFUSED:
                put_head(&out, agent->stream, "dispatch-bad-reply", "it has\na \xff second length");
                break;
        case WRONG_STREAM:
                put_head(&out, agent->stream + 1, "x-a", "b");
                break;
        case LOG_FLOOD:
                memset(flood, 'x', sizeof(flood));
                flood[0] = 1;
                frame_put(&out, FRAME_LOG, agent->stream, (struct str){flood, sizeof(flood)});
                frame_put(&out, FRAME_LOG, agent->stream, (struct str){flood, sizeof(flood)});
                put_head(&out, agent->stream, "x-a", "b");
                break;
        case ANSWER:
        case SLOW:
        case TOO_MUCH:
        case NO_LOAD:
        case EARLY_END:
                put_head(&out, agent->stream, "x-a", "b");
                break;
        }
        frame_put_data(&out, agent->stream, body);
        frame_put_usage(&out, agent->stream, &usage);
        put(agent, &out);
        buf_clear(&agent->body);
}

static void agent_hold(struct agent *agent, const struct frame *frame)
{
        struct held *held = agent->held;

        if (frame->stream == 0)
                return;
        while (held < agent->held + agent->held_count && held->stream != frame->stream)
                held++;
        if (frame->type == FRAME_HEAD) {
                assert_ptr_equal(held, agent->held + agent->held_count);
                assert_true(agent->held_count++ < HELD_MAX);
                *held = (struct held){.stream = frame->stream};
        }
        assert_true(held < agent->held + agent->held_count);
        held->bytes += frame->type == FRAME_DATA ? frame->payload.len : 0;
        held->whole = held->whole || frame->type == FRAME_END;
        held->reset = held->reset || frame->type == FRAME_RESET;
}

static void agent_frame(struct agent *agent, const struct frame *frame)
{
        own_buf struct buf out = {.max = 1 << 20};
        unsigned char credit[4];

        if (frame->type == FRAME_SPECIALISE && kill_loads > 0) {
                kill_loads--;
                agent_exit(agent, 1, SIGKILL, 0);
                return;
        }
        if (frame->type == FRAME_SPECIALISE && behaviour == NO_LOAD)
                frame_put(&out, FRAME_FAILED, 0,
                          STR("{\"type\":\"FunctionError\",\"message\":\"bad syntax\",\"stacktrace\":[\"line "
                              "1\"]}"));
        else if (frame->type == FRAME_SPECIALISE)
                frame_put(&out, FRAME_READY, 0,
                          agent->role == SPAWN_ROLE_TEMPLATE ? str_of(no_template) : (struct str){NULL, 0});
        if (frame->type == FRAME_DATA) {
                uint32_t len = (uint32_t)frame->payload.len;
                buf_append(&agent->body, frame->payload.p, len);
                for (int i = 0; i < 4; i++)
                        credit[i] = len >> (8 * i) & 0xff;
                if (behaviour != EARLY_END)
                        frame_put(&out, FRAME_CREDIT, frame->stream, (struct str){(char *)credit, 4});
        }
        if (out.len > 0)
                put(agent, &out);
        if (behaviour == SEVERAL)
                agent_hold(agent, frame);
        if (frame->type == FRAME_HEAD) {
                agent->stream = frame->stream;
                if (behaviour == EARLY_END)
                        answer(agent);
        }
        agent->asked = frame->type == FRAME_END && behaviour == SLOW;
        if (frame->type == FRAME_END && behaviour != EARLY_END && behaviour != SLOW)
                answer(agent);
}

static void play_agent(struct agent *agent)
{
        struct frame frame;
        size_t used;

        while (agent->id != 0 && buf_reserve(&agent->in, 65536) == ERR_OK) {
                ssize_t n = ring_peer_receive(&agent->ring, agent->in.data + agent->in.len, 65536, false);
                if (n <= 0)
                        return;
                agent->in.len += (size_t)n;
                while (agent->id != 0 && frame_parse((struct str){agent->in.data, agent->in.len}, &frame,
                                                     &used, NULL) == ERR_OK) {
                        agent_frame(agent, &frame);
                        if (agent->id != 0)
                                buf_consume(&agent->in, used);
                }
        }
}

static void step(void)
{
        struct pollfd idle = {.fd = -1};

        play_spawn();
        for (size_t i = 0; i < AGENTS_MAX; i++) {
                if (agents[i].id != 0)
                        play_agent(&agents[i]);
                if (agents[i].id != 0 && agents[i].asked && starts >= SLOW_STARTS) {
                        agents[i].asked = false;
                        answer(&agents[i]);
                }
        }
        loop_step(loop, false);
        poll(&idle, 0, 1); /* timers of the engine count milliseconds */
}

static void run_done(struct invocation *inv)
{
        *(bool *)inv->arg = true;
}

static void run_until(const bool *done)
{
        for (int i = 0; i < STEPS_MAX && !*done; i++)
                step();
        assert_true(*done);
}

static struct revision *revision_of_function(const char *json, const char *id)
{
        const char layers[1][SPAWN_NAME_MAX] = {"root"};
        struct store_row row = {.organization = (char *)"Org!",
                                .project = (char *)"p",
                                .name = (char *)"f",
                                .id = (char *)id,
                                .revision = 1};
        const struct revision_build build = {.language = "native",
                                             .handler = "./f",
                                             .layers = layers,
                                             .layer_count = 1,
                                             .code = "fn-1",
                                             .timeout_default_ms = 60000};
        struct revision *revision;
        struct err err;

        row.document = json_loads(json, 0, NULL);
        assert_non_null(row.document);
        assert_int_equal(revision_create(&row, &build, &revision, &err), ERR_OK);
        json_decref(row.document);
        return revision;
}

static struct revision *revision_of(const char *json)
{
        return revision_of_function(json, "00000000-0000-4000-8000-000000000000");
}

static void inv_init(struct invocation *inv, struct revision *revision, struct str payload, bool *done)
{
        invocation_init(inv);
        uuid_generate(inv->run_id);
        inv->revision = revision;
        inv->loop = loop;
        inv->method = STR("POST");
        inv->target = STR("/");
        inv->scheme = STR("http");
        inv->content_type = STR("application/json");
        inv->payload = payload;
        inv->deadline_ms = clock_mono_ms() + revision->timeout_ms;
        inv->done = run_done;
        inv->arg = done;
        *done = false;
}

/* One run, to its end. */
static void run(struct invocation *inv, struct revision *revision, struct str payload)
{
        bool done;

        inv_init(inv, revision, payload, &done);
        engine->ops->invoke(engine, inv);
        assert_false(done);
        run_until(&done);
}

static void a_run_boots_an_instance_and_the_next_one_is_hot(void **state)
{
        struct revision *revision = revision_of("{}");
        struct invocation inv;

        (void)state;
        run(&inv, revision, STR("{\"a\":1}"));
        assert_int_equal(inv.code, ERR_OK);
        assert_null(inv.error_type);
        assert_int_equal(inv.start, START_BOOT);
        assert_string_equal(buf_text(&inv.body), "{\"a\":1}");
        assert_int_equal(inv.cpu_us, 7);
        assert_memory_equal(inv.head.data, "x-a\0b", 6);
        invocation_finish(&inv);
        run(&inv, revision, STR("2"));
        assert_int_equal(inv.start, START_HOT);
        assert_int_equal(starts, 1);
        invocation_finish(&inv);
        revision_unref(revision);
}

static void a_payload_larger_than_the_window_goes_through_by_credit(void **state)
{
        struct revision *revision = revision_of("{}");
        struct invocation inv;
        size_t len = 5 * FRAME_WINDOW + 17;
        own_mem char *payload = malloc(len);

        (void)state;
        memset(payload, 'p', len);
        run(&inv, revision, (struct str){payload, len});
        assert_int_equal(inv.code, ERR_OK);
        assert_int_equal(inv.body.len, len);
        invocation_finish(&inv);
        revision_unref(revision);
}

static void errors_of_a_handler_are_told_as_they_are(void **state)
{
        struct revision *revision = revision_of("{}");
        struct invocation inv;

        (void)state;
        behaviour = ERROR_REPLY;
        run(&inv, revision, STR("1"));
        assert_int_equal(inv.code, ERR_OK);
        assert_string_equal(inv.error_type, "InputError");
        assert_string_equal(buf_text(&inv.error),
                            "{\"type\":\"InputError\",\"message\":\"no\",\"stacktrace\":null}");
        invocation_finish(&inv);
        revision_unref(revision);
}

/* Runs once under a behaviour, expects the code and a text; then the next run must work in a new instance. */
static void misbehaves(enum behaviour with, enum err_code code, const char *type, const char *text)
{
        struct revision *revision =
                revision_of(with == SILENT ? "{\"timeout\": 50, \"memory\": 64}" : "{\"memory\": 64}");
        struct invocation inv;
        bool done;

        behaviour = with;
        run(&inv, revision, STR("1"));
        assert_int_equal(inv.code, code);
        assert_string_equal(inv.error_type, type);
        assert_string_equal(inv.err.text, text);
        assert_int_equal(inv.body.len, 0);
        invocation_finish(&inv);
        behaviour = ANSWER;
        inv_init(&inv, revision, STR("1"), &done);
        inv.deadline_ms += 60000; /* a busy machine is not what this is about */
        engine->ops->invoke(engine, &inv);
        run_until(&done);
        assert_int_equal(inv.code, ERR_OK);
        assert_int_equal(starts, 2);
        invocation_finish(&inv);
        revision_unref(revision);
}

static void a_run_past_its_deadline_is_killed(void **state)
{
        (void)state;
        misbehaves(SILENT, ERR_TIMEOUT, "FunctionError", "Function execution exceeded the timeout of 50 ms");
}

static void a_process_that_ends_is_told_with_its_status(void **state)
{
        (void)state;
        misbehaves(DIE, ERR_SYSTEM, "FunctionError",
                   "the process of function f ended with status 3 before it answered");
}

static void memory_is_named_when_it_was_the_reason(void **state)
{
        (void)state;
        misbehaves(OOM, ERR_SYSTEM, "FunctionError", "function f exceeded its memory limit of 64 MiB");
}

static void what_is_no_frame_is_no_reply(void **state)
{
        struct revision *revision = revision_of("{}");
        struct invocation inv;

        (void)state;
        behaviour = GARBAGE;
        run(&inv, revision, STR("1"));
        assert_int_equal(inv.code, ERR_BAD_REPLY);
        invocation_finish(&inv);
        revision_unref(revision);
}

static void an_answer_to_another_run_ends_the_instance(void **state)
{
        (void)state;
        misbehaves(WRONG_STREAM, ERR_BAD_REPLY, "FunctionError",
                   "the reply of function f is no reply: a frame of a run that is not under way");
}

static void a_field_with_a_line_break_ends_the_instance(void **state)
{
        (void)state;
        misbehaves(HEADER_SPLIT, ERR_BAD_REPLY, "FunctionError",
                   "the reply of function f is no reply: a field with bytes that no header may have");
}

static void a_reply_that_the_agent_refuses_ends_the_instance(void **state)
{
        (void)state;
        misbehaves(REFUSED, ERR_BAD_REPLY, "FunctionError",
                   "the reply of function f is no reply: it has?a ? second length");
}

static void a_reply_over_the_limit_is_refused(void **state)
{
        struct local_limits small = local_limits_default;
        struct revision *revision = revision_of("{}");
        struct invocation inv;
        char payload[2048];

        (void)state;
        small.reply_bytes_max = 1024;
        setup_with(small);
        memset(payload, 'x', sizeof(payload));
        run(&inv, revision, (struct str){payload, sizeof(payload)});
        assert_int_equal(inv.code, ERR_BAD_REPLY);
        assert_string_equal(
                inv.err.text,
                "the reply of function f is no reply: it is larger than 1024 bytes, see --reply-bytes-max");
        invocation_finish(&inv);
        revision_unref(revision);
}

static void a_log_over_the_limit_is_cut_and_says_so(void **state)
{
        struct local_limits small = local_limits_default;
        struct revision *revision = revision_of("{}");
        struct invocation inv;

        (void)state;
        small.log_bytes_max = 4000;
        setup_with(small);
        behaviour = LOG_FLOOD;
        run(&inv, revision, STR("1"));
        assert_int_equal(inv.code, ERR_OK);
        assert_non_null(
                strstr(buf_text(&inv.log_stdout),
                       "[dispatch: the log was truncated at its limit of 4000 bytes, see --log-bytes-max]"));
        assert_in_range(inv.log_stdout.len, 4000, 4200);
        invocation_finish(&inv);
        revision_unref(revision);
}

static void an_instance_that_left_the_request_unread_is_not_used_again(void **state)
{
        struct revision *revision = revision_of("{}");
        struct invocation inv;
        size_t len = 3 * FRAME_WINDOW;
        own_mem char *payload = calloc(1, len);

        (void)state;
        behaviour = EARLY_END;
        run(&inv, revision, (struct str){payload, len});
        assert_int_equal(inv.code, ERR_OK);
        invocation_finish(&inv);
        behaviour = ANSWER;
        run(&inv, revision, STR("1"));
        assert_int_equal(inv.start, START_BOOT);
        invocation_finish(&inv);
        revision_unref(revision);
}

static void isolation_run_gives_each_run_a_process(void **state)
{
        struct revision *revision = revision_of("{\"isolation\": \"run\"}");
        struct invocation inv;

        (void)state;
        for (unsigned i = 1; i <= 3; i++) {
                run(&inv, revision, STR("1"));
                assert_int_equal(inv.code, ERR_OK);
                assert_int_equal(starts, i);
                invocation_finish(&inv);
        }
        revision_unref(revision);
}

static void an_instance_that_saw_a_secret_of_one_run_is_not_used_again(void **state)
{
        struct revision *revision = revision_of("{}");
        struct invocation inv;
        bool done;

        (void)state;
        inv_init(&inv, revision, STR("1"), &done);
        inv.secrets = STR("{\"k\":\"v\"}");
        engine->ops->invoke(engine, &inv);
        run_until(&done);
        assert_int_equal(inv.code, ERR_OK);
        invocation_finish(&inv);
        run(&inv, revision, STR("1"));
        assert_int_equal(inv.start, START_BOOT);
        invocation_finish(&inv);
        revision_unref(revision);
}

static void a_handler_that_does_not_load_fails_the_run_with_its_trace(void **state)
{
        struct revision *revision = revision_of("{}");
        struct invocation inv;

        (void)state;
        behaviour = NO_LOAD;
        run(&inv, revision, STR("1"));
        assert_string_equal(inv.error_type, "FunctionError");
        assert_non_null(strstr(buf_text(&inv.error), "bad syntax"));
        invocation_finish(&inv);
        revision_unref(revision);
}

static void a_secret_that_is_missing_fails_the_run(void **state)
{
        struct revision *revision = revision_of("{\"secrets\": [\"x\"]}");
        struct invocation inv;

        (void)state;
        run(&inv, revision, STR("1"));
        assert_int_equal(inv.code, ERR_NOT_FOUND);
        assert_string_equal(
                inv.err.text,
                "error when retrieving secrets from secret store: [Code: 404] secret x not found");
        invocation_finish(&inv);
        revision_unref(revision);
}

static void no_room_for_a_sandbox_is_told(void **state)
{
        struct revision *revision = revision_of("{}");
        struct invocation inv;

        (void)state;
        refuse_start = true;
        run(&inv, revision, STR("1"));
        assert_int_equal(inv.code, ERR_UNAVAILABLE);
        assert_string_equal(inv.err.text, "no room for a sandbox");
        invocation_finish(&inv);
        revision_unref(revision);
}

static void a_full_queue_refuses_and_a_long_wait_ends(void **state)
{
        struct local_limits small = local_limits_default;
        struct revision *revision = revision_of("{\"maxInstances\": 1}");
        struct invocation invs[4];
        bool done[4];

        (void)state;
        small.queue_requests_max = 2;
        small.queue_wait_ms_max = 60;
        setup_with(small);
        hold_start = true;
        for (int i = 0; i < 3; i++) {
                inv_init(&invs[i], revision, STR("1"), &done[i]);
                engine->ops->invoke(engine, &invs[i]);
        }
        run_until(&done[2]);
        assert_int_equal(invs[2].code, ERR_LIMIT);
        assert_int_equal(invs[2].queue_position, 3);
        assert_int_equal(invs[2].retry_after_s, 1);
        assert_string_equal(
                invs[2].err.text,
                "function f is busy: 2 requests wait for it already (--queue-requests); try again later");
        run_until(&done[0]);
        run_until(&done[1]);
        assert_int_equal(invs[0].code, ERR_LIMIT);
        assert_int_equal(starts, 1);
        for (int i = 0; i < 3; i++)
                invocation_finish(&invs[i]);
        revision_unref(revision);
}

static void settle_until(const unsigned *value, unsigned least)
{
        for (int i = 0; i < STEPS_MAX && *value < least; i++)
                step();
        assert_true(*value >= least);
}

/* What the first run leaves behind is there once the engine has had time for it. */
static void settle(void)
{
        for (int i = 0; i < 50; i++)
                step();
}

static enum start_kind start_of_a_run(struct revision *revision)
{
        struct invocation inv;

        run(&inv, revision, STR("1"));
        assert_int_equal(inv.code, ERR_OK);
        invocation_finish(&inv);
        return inv.start;
}

static void a_template_is_made_after_the_first_run_and_forked_from_then_on(void **state)
{
        struct revision *revision = revision_of("{\"isolation\": \"run\"}");

        (void)state;
        can_start = RUNTIME_TEMPLATE;
        assert_int_equal(start_of_a_run(revision), START_BOOT);
        settle_until(&roles[SPAWN_ROLE_TEMPLATE], 1);
        settle();
        assert_int_equal(start_of_a_run(revision), START_TEMPLATE);
        assert_int_equal(start_of_a_run(revision), START_TEMPLATE);
        assert_int_equal(froms, 2);
        assert_int_equal(roles[SPAWN_ROLE_TEMPLATE], 1);
        revision_unref(revision);
}

static void a_zygote_serves_all_functions_of_its_image_and_organization(void **state)
{
        struct revision *one = revision_of("{}");
        struct revision *other = revision_of_function("{}", "11111111-0000-4000-8000-000000000000");

        (void)state;
        can_start = RUNTIME_ZYGOTE;
        assert_int_equal(start_of_a_run(one), START_BOOT);
        settle();
        assert_int_equal(start_of_a_run(other), START_ZYGOTE);
        assert_int_equal(roles[SPAWN_ROLE_ZYGOTE], 1);
        revision_unref(one);
        revision_unref(other);
}

static void a_stem_is_claimed_once_and_another_made_in_its_place(void **state)
{
        struct revision *revision = revision_of("{\"isolation\": \"run\"}");

        (void)state;
        can_start = RUNTIME_STEM;
        assert_int_equal(start_of_a_run(revision), START_BOOT);
        settle();
        assert_int_equal(roles[SPAWN_ROLE_STEM], 1);
        assert_int_equal(start_of_a_run(revision), START_STEM);
        settle_until(&roles[SPAWN_ROLE_STEM], 2);
        settle();
        assert_int_equal(start_of_a_run(revision), START_STEM);
        revision_unref(revision);
}

static void a_start_that_its_mechanism_refuses_goes_on_with_the_next_kind(void **state)
{
        struct revision *revision = revision_of("{\"isolation\": \"run\"}");
        struct local_counts counts;

        (void)state;
        can_start = RUNTIME_TEMPLATE | RUNTIME_ZYGOTE;
        refuse_from = SPAWN_ROLE_TEMPLATE;
        assert_int_equal(start_of_a_run(revision), START_BOOT);
        settle();
        assert_int_equal(start_of_a_run(revision), START_ZYGOTE); /* not of the template */
        assert_int_equal(start_of_a_run(revision), START_ZYGOTE);
        assert_int_equal(froms, 3);
        local_engine_counts(engine, &counts);
        assert_int_equal(counts.fall_backs, 1);
        assert_int_equal(counts.starts_of[START_ZYGOTE], 2);
        revision_unref(revision);
}

static void a_stem_that_cannot_be_claimed_is_ended_and_the_run_boots(void **state)
{
        struct revision *revision = revision_of("{\"isolation\": \"run\"}");

        (void)state;
        can_start = RUNTIME_STEM;
        refuse_from = SPAWN_ROLE_STEM;
        assert_int_equal(start_of_a_run(revision), START_BOOT);
        settle();
        assert_int_equal(start_of_a_run(revision), START_BOOT);
        settle_until(&kills, 3); /* two instances and the stem */
        revision_unref(revision);
}

static void a_function_that_cannot_be_a_template_boots_and_says_why(void **state)
{
        struct revision *revision = revision_of("{\"isolation\": \"run\"}");

        (void)state;
        can_start = RUNTIME_TEMPLATE;
        no_template = "it has 2 threads of its own";
        assert_int_equal(start_of_a_run(revision), START_BOOT);
        settle_until(&roles[SPAWN_ROLE_TEMPLATE], 1);
        settle();
        assert_true(atomic_load(&revision->no_template));
        assert_string_equal(revision->no_template_why, "it has 2 threads of its own");
        assert_int_equal(start_of_a_run(revision), START_BOOT);
        assert_int_equal(roles[SPAWN_ROLE_TEMPLATE], 1);
        revision_unref(revision);
}

static void a_template_that_dies_is_made_anew_and_nobody_notices(void **state)
{
        struct revision *revision = revision_of("{\"isolation\": \"run\"}");

        (void)state;
        can_start = RUNTIME_TEMPLATE;
        assert_int_equal(start_of_a_run(revision), START_BOOT);
        settle_until(&roles[SPAWN_ROLE_TEMPLATE], 1);
        settle();
        for (size_t i = 0; i < AGENTS_MAX; i++) {
                if (agents[i].id != 0 && agents[i].role == SPAWN_ROLE_TEMPLATE)
                        agent_exit(&agents[i], 1, SIGKILL, 0);
        }
        settle();
        assert_int_equal(start_of_a_run(revision), START_BOOT);
        settle_until(&roles[SPAWN_ROLE_TEMPLATE], 2);
        revision_unref(revision);
}

static void what_waits_gives_its_memory_back_over_the_budget(void **state)
{
        struct local_limits small = local_limits_default;
        struct revision *revision = revision_of("{}");
        struct invocation invs[SLOW_STARTS];
        struct local_counts counts;
        bool done[SLOW_STARTS];

        (void)state;
        small.pool_bytes = (uint64_t)BUDGET_GUESS_BYTES * 3 / 2; /* of one and a half */
        setup_with(small);
        behaviour = SLOW;
        for (int i = 0; i < SLOW_STARTS; i++) {
                inv_init(&invs[i], revision, STR("1"), &done[i]);
                engine->ops->invoke(engine, &invs[i]);
        }
        for (int i = 0; i < SLOW_STARTS; i++) {
                run_until(&done[i]);
                assert_int_equal(invs[i].code, ERR_OK);
                invocation_finish(&invs[i]);
        }
        local_engine_counts(engine, &counts);
        assert_true(counts.instances >= 2);
        for (int i = 0; i < STEPS_MAX && counts.instances > 1; i++) {
                step();
                local_engine_counts(engine, &counts);
        }
        assert_int_equal(counts.instances, 1);
        assert_true(counts.evicted >= 1);
        assert_int_equal(counts.pool_bytes[0] + counts.pool_bytes[1],
                         BUDGET_GUESS_BYTES); /* it ran, or never did */
        revision_unref(revision);
}

static void what_instances_start_from_makes_way_on_a_full_host(void **state)
{
        struct local_limits small = local_limits_default;
        struct revision *one = revision_of("{}");
        struct revision *other = revision_of_function("{}", "11111111-0000-4000-8000-000000000000");
        struct local_counts counts = {0};
        struct invocation invs[4];
        bool done[4];

        (void)state;
        small.instances_max = 4;
        setup_with(small);
        can_start = RUNTIME_ZYGOTE;
        assert_int_equal(start_of_a_run(one), START_BOOT);
        settle();
        local_engine_counts(engine, &counts);
        assert_int_equal(counts.pool_count[3], 1); /* the zygote */
        behaviour = SILENT;
        for (int i = 0; i < 4; i++) { /* each in an instance of its own */
                inv_init(&invs[i], i % 2 ? one : other, STR("1"), &done[i]);
                engine->ops->invoke(engine, &invs[i]);
        }
        for (int i = 0; i < STEPS_MAX && counts.busy < 4; i++) {
                step();
                local_engine_counts(engine, &counts);
        }
        assert_int_equal(counts.busy, 4);
        assert_int_equal(counts.pool_count[3], 0);
        for (int i = 0; i < 4; i++)
                engine->ops->cancel(engine, &invs[i]);
        for (int i = 0; i < 4; i++) {
                run_until(&done[i]);
                invocation_finish(&invs[i]);
        }
        revision_unref(one);
        revision_unref(other);
}

static void an_idle_instance_is_frozen_and_thawed_for_its_next_run(void **state)
{
        struct revision *revision = revision_of("{}");

        (void)state;
        start_of_a_run(revision);
        assert_int_equal(start_of_a_run(revision), START_HOT);
        assert_int_equal(freezes, 0);
        settle_until(&freezes, 1);
        assert_int_equal(start_of_a_run(revision), START_HOT);
        assert_int_equal(thaws, 1);
        revision_unref(revision);
}

/* Runs of one function that follow each other without a pause, on a host with a single place. */
struct flood {
        struct revision *revision;
        struct invocation inv;
        unsigned runs;
        bool over, ended;
};

static void flood_next(struct invocation *inv)
{
        struct flood *flood = inv->arg;

        assert_int_equal(inv->code, ERR_OK);
        invocation_finish(inv);
        flood->runs++;
        if (flood->over) {
                flood->ended = true;
                return;
        }
        inv_init(inv, flood->revision, STR("1"), &flood->ended);
        inv->done = flood_next;
        inv->arg = flood;
        engine->ops->invoke(engine, inv);
}

static void a_flood_to_one_function_leaves_the_other_its_turn(void **state)
{
        struct local_limits small = local_limits_default;
        struct flood floods[4] = {0};
        struct revision *other = revision_of_function("{}", "11111111-0000-4000-8000-000000000000");
        struct revision *revision = revision_of("{}");
        struct invocation inv;

        (void)state;
        small.instances_max = 1;
        setup_with(small);
        for (size_t i = 0; i < 4; i++) {
                floods[i].revision = revision;
                inv_init(&floods[i].inv, revision, STR("1"), &floods[i].ended);
                floods[i].inv.done = flood_next;
                floods[i].inv.arg = &floods[i];
                engine->ops->invoke(engine, &floods[i].inv);
        }
        for (int i = 0; i < 3; i++) {
                run(&inv, other, STR("2"));
                assert_int_equal(inv.code, ERR_OK);
                invocation_finish(&inv);
        }
        for (size_t i = 0; i < 4; i++)
                floods[i].over = true;
        for (size_t i = 0; i < 4; i++) {
                run_until(&floods[i].ended);
                assert_true(floods[i].runs > 0);
        }
        revision_unref(revision);
        revision_unref(other);
}

static void a_cancelled_run_ends_and_a_stale_cancel_hits_nobody(void **state)
{
        struct revision *revision = revision_of("{}");
        struct invocation inv;
        bool done;

        (void)state;
        behaviour = SILENT;
        inv_init(&inv, revision, STR("1"), &done);
        engine->ops->invoke(engine, &inv);
        for (int i = 0; i < 20; i++)
                step();
        assert_false(done);
        engine->ops->cancel(engine, &inv);
        run_until(&done);
        assert_int_equal(inv.code, ERR_CANCELLED);
        invocation_finish(&inv);

        /* The same memory, another run: a cancel of the first that arrives late is not for it. */
        behaviour = ANSWER;
        inv_init(&inv, revision, STR("1"), &done);
        engine->ops->invoke(engine, &inv);
        engine->ops->cancel(engine, &inv);
        uuid_generate(inv.run_id);
        run_until(&done);
        assert_int_equal(inv.code, ERR_OK);
        invocation_finish(&inv);
        revision_unref(revision);
}

struct deployed {
        bool done;
        enum err_code code;
        char trace[256];
        char text[256];
};

static void deployed(void *arg, enum err_code code, const struct err *err, struct str trace)
{
        struct deployed *deploy = arg;

        deploy->code = code;
        snprintf(deploy->text, sizeof(deploy->text), "%.255s", err != NULL ? err->text : "");
        snprintf(deploy->trace, sizeof(deploy->trace), "%.*s", STR_ARG(trace));
        deploy->done = true;
}

static void a_deploy_proves_that_the_handler_loads(void **state)
{
        struct revision *revision = revision_of("{}");
        struct deployed deploy = {.done = false};
        struct invocation inv;

        (void)state;
        behaviour = NO_LOAD;
        engine->ops->deploy(engine, revision, deployed, &deploy);
        run_until(&deploy.done);
        assert_int_not_equal(deploy.code, ERR_OK);
        assert_non_null(strstr(deploy.trace, "bad syntax"));

        behaviour = ANSWER;
        deploy.done = false;
        engine->ops->deploy(engine, revision, deployed, &deploy);
        run_until(&deploy.done);
        assert_int_equal(deploy.code, ERR_OK);
        run(&inv, revision, STR("1"));
        assert_int_equal(inv.start, START_HOT);
        invocation_finish(&inv);
        revision_unref(revision);
}

static void a_deploy_under_way_ends_with_the_engine(void **state)
{
        struct revision *revision = revision_of("{}");
        struct deployed deploy = {.done = false};

        (void)state;
        hold_start = true;
        engine->ops->deploy(engine, revision, deployed, &deploy);
        for (int i = 0; i < 20; i++)
                step();
        assert_false(deploy.done);
        revision_unref(revision); /* the engine, destroyed next, has the last of it: a leak is the sanitizer's
                                     to find */
}

static void a_start_that_is_killed_from_outside_is_tried_again(void **state)
{
        struct revision *revision = revision_of("{}");
        struct deployed deploy = {.done = false};
        struct invocation inv;

        (void)state;
        kill_loads = 2;
        run(&inv, revision, STR("1"));
        assert_int_equal(inv.code, ERR_OK);
        assert_int_equal(starts, 3);
        invocation_finish(&inv);
        revision_unref(revision);

        revision = revision_of("{\"memory\": 128}");
        kill_loads = POOL_STARTS_KILLED_MAX;
        engine->ops->deploy(engine, revision, deployed, &deploy);
        run_until(&deploy.done);
        assert_int_equal(deploy.code, ERR_OK);
        revision_unref(revision);
}

static void a_handler_that_kills_itself_fails_after_a_few_starts(void **state)
{
        struct revision *revision = revision_of("{}");
        struct deployed deploy = {.done = false};

        (void)state;
        kill_loads = 1000;
        engine->ops->deploy(engine, revision, deployed, &deploy);
        run_until(&deploy.done);
        assert_int_equal(deploy.code, ERR_SYSTEM);
        assert_non_null(strstr(deploy.text, "killed by signal 9"));
        assert_int_equal(starts, POOL_STARTS_KILLED_MAX + 1);
        revision_unref(revision);
}

static void a_retired_revision_loses_its_instances_but_still_answers(void **state)
{
        struct revision *revision = revision_of("{}");
        struct invocation inv;
        struct local_counts counts;

        (void)state;
        run(&inv, revision, STR("1"));
        invocation_finish(&inv);
        engine->ops->retire(engine, revision);
        do {
                step();
                local_engine_counts(engine, &counts);
        } while (counts.instances > 0);
        run(&inv, revision, STR("1"));
        assert_int_equal(inv.code, ERR_OK);
        invocation_finish(&inv);
        do {
                step();
                local_engine_counts(engine, &counts);
        } while (counts.instances > 0);
        revision_unref(revision);
}

static void drained(void *arg)
{
        *(bool *)arg = true;
}

static void a_drain_waits_for_the_run_under_way(void **state)
{
        struct revision *revision = revision_of("{\"timeout\": 100}");
        struct invocation inv;
        bool done, empty = false;

        (void)state;
        behaviour = SILENT;
        inv_init(&inv, revision, STR("1"), &done);
        engine->ops->invoke(engine, &inv);
        engine->ops->drain(engine, drained, &empty);
        for (int i = 0; i < 5; i++)
                step();
        assert_false(empty);
        run_until(&empty);
        assert_true(done);
        invocation_finish(&inv);
        revision_unref(revision);
}

/* Runs with the numbers of their streams as payloads, in agents that hold them. */
struct several {
        struct revision *revision;
        struct invocation inv[HELD_MAX];
        bool done[HELD_MAX];
        size_t count;
};

static struct invocation *several_add(struct several *several, const char *payload)
{
        size_t i = several->count++;

        inv_init(&several->inv[i], several->revision, str_of(payload), &several->done[i]);
        engine->ops->invoke(engine, &several->inv[i]);
        return &several->inv[i];
}

static size_t in_hand(void)
{
        size_t count = 0;

        for (size_t i = 0; i < AGENTS_MAX; i++) {
                for (size_t k = 0; agents[i].id != 0 && k < agents[i].held_count; k++)
                        count += agents[i].held[k].whole;
        }
        return count;
}

static void until_in_hand(size_t count)
{
        for (int i = 0; i < STEPS_MAX && in_hand() < count; i++)
                step();
        assert_int_equal(in_hand(), count);
}

static void several_begin(struct several *several, const char *json, size_t count)
{
        *several = (struct several){.revision = revision_of(json)};
        behaviour = SEVERAL;
        for (size_t i = 0; i < count; i++)
                several_add(several, "1");
        until_in_hand(count);
}

static void several_finish(struct several *several)
{
        for (size_t i = 0; i < several->count; i++) {
                assert_true(several->done[i]);
                invocation_finish(&several->inv[i]);
        }
        revision_unref(several->revision);
}

static void reply_to(struct agent *agent, uint32_t stream, const char *body)
{
        own_buf struct buf out = {.max = 1 << 20};
        const struct frame_usage usage = {0};

        put_head(&out, stream, "x-a", "b");
        frame_put_data(&out, stream, str_of(body));
        frame_put_usage(&out, stream, &usage);
        put(agent, &out);
}

static void say_stopped(struct agent *agent, uint32_t stream)
{
        own_buf struct buf out = {.max = 4096};

        frame_put(&out, FRAME_RESET, stream, (struct str){NULL, 0});
        put(agent, &out);
}

static void named_answer(void *arg, bool found)
{
        *(int *)arg += found ? 100 : 1;
}

static void runs_share_an_instance_up_to_the_concurrency(void **state)
{
        struct several several;

        (void)state;
        several_begin(&several, "{\"concurrency\": 3, \"maxInstances\": 1}", 3);
        several_add(&several, "1");
        for (int i = 0; i < 100; i++)
                step();
        assert_int_equal(in_hand(), 3); /* the fourth waits */
        reply_to(&agents[0], 2, "\"two\"");
        run_until(&several.done[1]);
        until_in_hand(4);
        assert_false(several.done[0] || several.done[2] || several.done[3]);
        reply_to(&agents[0], 4, "\"four\"");
        reply_to(&agents[0], 1, "\"one\"");
        reply_to(&agents[0], 3, "\"three\"");
        run_until(&several.done[2]);
        static const char *const bodies[] = {"\"one\"", "\"two\"", "\"three\"", "\"four\""};
        for (size_t i = 0; i < 4; i++) {
                assert_int_equal(several.inv[i].code, ERR_OK);
                assert_string_equal(buf_text(&several.inv[i].body), bodies[i]);
        }
        assert_int_equal(starts, 1);
        assert_int_equal(kills, 0);
        several_finish(&several);
}

static void more_than_the_concurrency_take_another_instance(void **state)
{
        struct several several;

        (void)state;
        several_begin(&several, "{\"concurrency\": 2}", 4);
        assert_int_equal(starts, 2);
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(agents[i].held_count, 2);
                reply_to(&agents[i], 1, "1");
                reply_to(&agents[i], 2, "2");
        }
        for (size_t i = 0; i < 4; i++)
                run_until(&several.done[i]);
        several_finish(&several);
}

static void a_cancelled_run_leaves_the_others_alone(void **state)
{
        struct several several;
        struct agent *agent = &agents[0];

        (void)state;
        several_begin(&several, "{\"concurrency\": 3, \"maxInstances\": 1}", 3);
        engine->ops->cancel(engine, &several.inv[1]);
        run_until(&several.done[1]);
        assert_int_equal(several.inv[1].code, ERR_CANCELLED);
        for (int i = 0; i < STEPS_MAX && !agent->held[1].reset; i++)
                step();
        assert_true(agent->held[1].reset && !agent->held[0].reset && !agent->held[2].reset);
        several_add(&several, "1"); /* there is room once the agent is done with the other */
        for (int i = 0; i < 100; i++)
                step();
        assert_int_equal(in_hand(), 3);
        say_stopped(agent, 2);
        until_in_hand(4);
        reply_to(agent, 1, "1");
        reply_to(agent, 3, "3");
        reply_to(agent, 4, "4");
        run_until(&several.done[0]);
        run_until(&several.done[2]);
        run_until(&several.done[3]);
        assert_int_equal(kills, 0);
        assert_int_equal(several.inv[0].code, ERR_OK);
        several_finish(&several);
}

static void an_answer_that_crosses_the_cancel_ends_the_run_too(void **state)
{
        struct several several;
        struct agent *agent = &agents[0];

        (void)state;
        several_begin(&several, "{\"concurrency\": 1000, \"maxInstances\": 1}", 2);
        engine->ops->cancel(engine, &several.inv[0]);
        run_until(&several.done[0]);
        reply_to(agent, 1, "1");
        reply_to(agent, 2, "2");
        run_until(&several.done[1]);
        assert_int_equal(several.inv[0].code, ERR_CANCELLED);
        assert_int_equal(several.inv[0].body.len, 0);
        assert_int_equal(several.inv[1].code, ERR_OK);
        assert_int_equal(kills, 0);
        several_finish(&several);
}

static void a_run_that_is_heard_but_goes_on_disturbs_no_other(void **state)
{
        struct several several;
        own_buf struct buf out = {.max = 4096};
        struct agent *agent = &agents[0];

        (void)state;
        several_begin(&several, "{\"concurrency\": 3}", 2);
        engine->ops->cancel(engine, &several.inv[0]);
        run_until(&several.done[0]);
        frame_put_credit(&out, 1, 0);
        put(agent, &out);
        /* once its time is over nothing new comes into the instance */
        for (int i = 0; i < 40 && starts == 1; i++) {
                size_t before = in_hand();
                several_add(&several, "1");
                until_in_hand(before + 1);
                if (starts > 1)
                        break;
                struct held *last = &agent->held[agent->held_count - 1];
                reply_to(agent, last->stream, "1");
                run_until(&several.done[several.count - 1]);
                for (int k = 0; k < 200; k++)
                        step();
        }
        assert_int_equal(starts, 2);
        assert_int_equal(kills, 0);
        assert_false(several.done[1]);
        reply_to(agent, 2, "2");
        run_until(&several.done[1]);
        assert_int_equal(several.inv[1].code, ERR_OK);
        for (int i = 0; i < STEPS_MAX && kills == 0; i++)
                step();
        assert_int_equal(kills, 1);
        reply_to(&agents[1], 1, "1");
        run_until(&several.done[several.count - 1]);
        several_finish(&several);
}

static void a_run_that_hangs_takes_its_instance_with_it(void **state)
{
        struct several several;

        (void)state;
        several_begin(&several, "{\"concurrency\": 3, \"maxInstances\": 1}", 2);
        engine->ops->cancel(engine, &several.inv[0]);
        run_until(&several.done[0]);
        assert_false(several.done[1]);
        run_until(&several.done[1]);
        assert_int_equal(several.inv[1].code, ERR_SYSTEM);
        assert_string_equal(several.inv[1].error_type, "FunctionError");
        assert_string_equal(
                several.inv[1].err.text,
                "the instance of function f was ended with this run in it: another run, which was "
                "to stop, kept it from doing anything else for 2000 ms");
        for (int i = 0; i < STEPS_MAX && kills == 0; i++)
                step();
        assert_int_equal(kills, 1);
        several_finish(&several);
}

static void a_deadline_is_of_one_run(void **state)
{
        struct several several;
        struct agent *agent = &agents[0];

        (void)state;
        several_begin(&several, "{\"concurrency\": 3, \"maxInstances\": 1}", 1);
        inv_init(&several.inv[1], several.revision, STR("1"), &several.done[1]);
        several.inv[1].deadline_ms = clock_mono_ms() + 30;
        several.count = 2;
        engine->ops->invoke(engine, &several.inv[1]);
        run_until(&several.done[1]);
        assert_int_equal(several.inv[1].code, ERR_TIMEOUT);
        assert_string_equal(several.inv[1].err.text, "Function execution exceeded the timeout of 60000 ms");
        say_stopped(agent, 2);
        reply_to(agent, 1, "1");
        run_until(&several.done[0]);
        assert_int_equal(several.inv[0].code, ERR_OK);
        assert_int_equal(kills, 0);
        several_finish(&several);
}

/* One lie on the channel, and all that are in the instance are told the same. */
static void lies(const char *json, size_t count, void (*lie)(struct agent *agent))
{
        struct several several;

        several_begin(&several, json, count);
        lie(&agents[0]);
        for (size_t i = 0; i < count; i++)
                run_until(&several.done[i]);
        assert_int_equal(several.inv[count - 1].code, ERR_BAD_REPLY);
        assert_string_equal(several.inv[count - 1].err.text,
                            "the reply of function f is no reply: a frame of a run that is not under way");
        for (int i = 0; i < STEPS_MAX && kills == 0; i++)
                step();
        assert_int_equal(kills, 1);
        several_finish(&several);
}

static void answers_twice(struct agent *agent)
{
        reply_to(agent, 1, "1");
        reply_to(agent, 1, "1");
}

static void stops_twice(struct agent *agent)
{
        reply_to(agent, 2, "1");
        say_stopped(agent, 2);
}

static void answers_ahead(struct agent *agent)
{
        reply_to(agent, 4, "1");
}

static void an_answer_twice_or_to_no_run_ends_the_instance(void **state)
{
        (void)state;
        lies("{\"concurrency\": 5}", 3, answers_twice);
}

static void a_stop_of_a_run_that_is_over_ends_the_instance(void **state)
{
        (void)state;
        lies("{\"concurrency\": 5}", 3, stops_twice);
}

static void an_answer_to_a_run_that_is_to_come_ends_the_instance(void **state)
{
        (void)state;
        lies("{\"concurrency\": 5}", 3, answers_ahead);
}

static void a_process_that_ends_is_told_to_all_its_runs(void **state)
{
        struct several several;

        (void)state;
        several_begin(&several, "{\"concurrency\": 5, \"memory\": 64}", 3);
        agent_exit(&agents[0], 1, SIGKILL, 1);
        for (size_t i = 0; i < 3; i++) {
                run_until(&several.done[i]);
                assert_string_equal(several.inv[i].err.text,
                                    "function f exceeded its memory limit of 64 MiB");
        }
        several_finish(&several);
}

static void a_run_with_secrets_of_its_own_is_alone(void **state)
{
        struct several several;

        (void)state;
        several_begin(&several, "{\"concurrency\": 5}", 1);
        inv_init(&several.inv[1], several.revision, STR("1"), &several.done[1]);
        several.inv[1].secrets = STR("{\"a\":\"b\"}");
        several.count = 2;
        engine->ops->invoke(engine, &several.inv[1]);
        until_in_hand(2);
        assert_int_equal(starts, 2);
        several_add(&several, "1");
        until_in_hand(3);
        assert_int_equal(agents[0].held_count, 2);
        assert_int_equal(agents[1].held_count, 1);
        reply_to(&agents[1], 1, "1");
        reply_to(&agents[0], 1, "1");
        reply_to(&agents[0], 2, "1");
        for (size_t i = 0; i < 3; i++)
                run_until(&several.done[i]);
        for (int i = 0; i < STEPS_MAX && kills == 0; i++)
                step();
        assert_int_equal(kills, 1); /* the one that has seen the secret */
        several_finish(&several);
}

static void a_request_that_no_frame_can_carry_disturbs_no_other(void **state)
{
        struct several several;
        own_mem char *target = malloc(FRAME_PAYLOAD_MAX + 1);

        (void)state;
        memset(target, 'a', FRAME_PAYLOAD_MAX + 1);
        several_begin(&several, "{\"concurrency\": 5, \"maxInstances\": 1}", 1);
        inv_init(&several.inv[1], several.revision, STR("1"), &several.done[1]);
        several.inv[1].target = (struct str){target, FRAME_PAYLOAD_MAX + 1};
        several.count = 2;
        engine->ops->invoke(engine, &several.inv[1]);
        run_until(&several.done[1]);
        assert_int_equal(several.inv[1].code, ERR_HEADER_LIMIT);
        several_add(&several, "1");
        until_in_hand(2);
        reply_to(&agents[0], 1, "1");
        reply_to(&agents[0], 3, "1");
        run_until(&several.done[0]);
        run_until(&several.done[2]);
        assert_int_equal(several.inv[0].code, ERR_OK);
        assert_int_equal(kills, 0);
        several_finish(&several);
}

static void a_run_is_cancelled_by_its_name_in_each_of_its_states(void **state)
{
        struct several several;
        struct invocation *waits;
        static int answers;

        (void)state;
        answers = 0;
        several_begin(&several, "{\"concurrency\": 2, \"maxInstances\": 1}", 2);
        waits = several_add(&several, "1");
        const struct str organization = STR("Org!"), project = STR("p");
        for (int i = 0; i < 2; i++) {
                struct invocation *inv = i == 0 ? waits : &several.inv[0];
                assert_int_equal(engine->ops->cancel_named(engine, STR("other"), project, str_of(inv->run_id),
                                                           named_answer, &answers, NULL),
                                 ERR_OK);
                assert_int_equal(engine->ops->cancel_named(engine, organization, project, str_of(inv->run_id),
                                                           named_answer, &answers, NULL),
                                 ERR_OK);
                for (int k = 0; k < STEPS_MAX && answers < (i + 1) * 101; k++)
                        step();
                assert_int_equal(answers, (i + 1) * 101); /* one was not found, one was */
                run_until(inv->arg);
                assert_int_equal(inv->code, ERR_CANCELLED);
        }
        assert_int_equal(in_hand(), 2);
        assert_false(several.done[1]);
        reply_to(&agents[0], 2, "1");
        run_until(&several.done[1]);
        several_finish(&several);
}

static void large_payloads_of_many_runs_go_through_together(void **state)
{
        struct several several = {.revision = revision_of("{\"concurrency\": 40, \"maxInstances\": 1}")};
        size_t len = 3 * FRAME_WINDOW + 5;
        own_mem char *payload = malloc(len + 1);

        (void)state;
        behaviour = SEVERAL;
        memset(payload, 'p', len);
        payload[len] = '\0';
        for (int i = 0; i < 40; i++)
                several_add(&several, payload);
        until_in_hand(40);
        for (uint32_t i = 0; i < 40; i++) {
                assert_int_equal(agents[0].held[i].bytes, len);
                reply_to(&agents[0], i + 1, "1");
        }
        for (size_t i = 0; i < 40; i++)
                run_until(&several.done[i]);
        assert_int_equal(starts, 1);
        several_finish(&several);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_run_boots_an_instance_and_the_next_one_is_hot),
                TEST(a_payload_larger_than_the_window_goes_through_by_credit),
                TEST(errors_of_a_handler_are_told_as_they_are),
                TEST(a_run_past_its_deadline_is_killed),
                TEST(a_process_that_ends_is_told_with_its_status),
                TEST(memory_is_named_when_it_was_the_reason),
                TEST(what_is_no_frame_is_no_reply),
                TEST(an_answer_to_another_run_ends_the_instance),
                TEST(a_field_with_a_line_break_ends_the_instance),
                TEST(a_reply_that_the_agent_refuses_ends_the_instance),
                cmocka_unit_test_teardown(a_reply_over_the_limit_is_refused, stop),
                cmocka_unit_test_teardown(a_log_over_the_limit_is_cut_and_says_so, stop),
                TEST(an_instance_that_left_the_request_unread_is_not_used_again),
                TEST(isolation_run_gives_each_run_a_process),
                TEST(an_instance_that_saw_a_secret_of_one_run_is_not_used_again),
                TEST(a_handler_that_does_not_load_fails_the_run_with_its_trace),
                TEST(a_secret_that_is_missing_fails_the_run),
                TEST(no_room_for_a_sandbox_is_told),
                TEST(a_template_is_made_after_the_first_run_and_forked_from_then_on),
                TEST(a_zygote_serves_all_functions_of_its_image_and_organization),
                TEST(a_stem_is_claimed_once_and_another_made_in_its_place),
                TEST(a_start_that_its_mechanism_refuses_goes_on_with_the_next_kind),
                TEST(a_stem_that_cannot_be_claimed_is_ended_and_the_run_boots),
                TEST(a_function_that_cannot_be_a_template_boots_and_says_why),
                TEST(a_template_that_dies_is_made_anew_and_nobody_notices),
                TEST(an_idle_instance_is_frozen_and_thawed_for_its_next_run),
                cmocka_unit_test_teardown(what_instances_start_from_makes_way_on_a_full_host, stop),
                cmocka_unit_test_teardown(what_waits_gives_its_memory_back_over_the_budget, stop),
                cmocka_unit_test_teardown(a_full_queue_refuses_and_a_long_wait_ends, stop),
                cmocka_unit_test_teardown(a_flood_to_one_function_leaves_the_other_its_turn, stop),
                TEST(a_cancelled_run_ends_and_a_stale_cancel_hits_nobody),
                TEST(a_deploy_proves_that_the_handler_loads),
                TEST(a_deploy_under_way_ends_with_the_engine),
                TEST(a_start_that_is_killed_from_outside_is_tried_again),
                TEST(a_handler_that_kills_itself_fails_after_a_few_starts),
                TEST(a_retired_revision_loses_its_instances_but_still_answers),
                TEST(a_drain_waits_for_the_run_under_way),
                TEST(runs_share_an_instance_up_to_the_concurrency),
                TEST(more_than_the_concurrency_take_another_instance),
                TEST(a_cancelled_run_leaves_the_others_alone),
                TEST(an_answer_that_crosses_the_cancel_ends_the_run_too),
                TEST(a_run_that_is_heard_but_goes_on_disturbs_no_other),
                TEST(a_run_that_hangs_takes_its_instance_with_it),
                TEST(a_deadline_is_of_one_run),
                TEST(an_answer_twice_or_to_no_run_ends_the_instance),
                TEST(a_stop_of_a_run_that_is_over_ends_the_instance),
                TEST(an_answer_to_a_run_that_is_to_come_ends_the_instance),
                TEST(a_process_that_ends_is_told_to_all_its_runs),
                TEST(a_run_with_secrets_of_its_own_is_alone),
                TEST(a_request_that_no_frame_can_carry_disturbs_no_other),
                TEST(a_run_is_cancelled_by_its_name_in_each_of_its_states),
                TEST(large_payloads_of_many_runs_go_through_together),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
