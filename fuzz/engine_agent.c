/*
 * fuzz/engine_agent.c: the local engine with an agent that sends anything: a sandbox's code may own its
 * agent.
 *
 * The input is a list of frames, each a byte of type (its high bit: one of a stream that is not the run's;
 * 0x7f: raw bytes), two of length and the payload; they are sent once the run's request has been. Then the
 * channel closes. The property: the run ends exactly once, with an outcome that can be told to a caller as it
 * is, and within its bounds.
 *
 * engine_several.c makes of it RUNS runs in one instance, of which the second is cancelled before anything is
 * sent; the byte behind a type then says of which of them the frame is, or of one that is not there. Each run
 * ends exactly once.
 */
#include "base/clock.h"
#include "base/own.h"
#include "engine/local/channel.h"
#include "engine/local/local.h"
#include "model/json.h"
#include "tests/unit/ring_peer.h"
#include "wire/frame.h"
#include "wire/spawn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef RUNS
#define RUNS 1
#endif

enum { REPLY_MAX = 4096, LOG_MAX = 2048, STEPS_MAX = 5000, SENT_MAX = 1 << 18, RAW = 0x7f };

static struct loop *loop;
static struct engine *engine;
static struct revision *revision;
static int spawn_fd, link_fd;

/* The agent of the instance that is there, if one is. */
static struct {
        uint64_t id;
        struct ring_peer ring;
        struct buf in;
        uint32_t first; /* stream of the first of the runs in hand; 0: none has begun */
        int ends;       /* whole requests of them */
        bool open, played;
} agent;

static bool runtime_argv(void *ctx, const char *language, uint32_t memory_mib, char argv[SPAWN_ARGV_MAX],
                         uint32_t *argc)
{
        (void)ctx;
        (void)language;
        (void)memory_mib;
        memcpy(argv, "/agent", 7);
        *argc = 1;
        return true;
}

static void revision_make(void)
{
        const char layers[1][SPAWN_NAME_MAX] = {"root"};
        struct store_row row = {.organization = (char *)"o",
                                .project = (char *)"p",
                                .name = (char *)"f",
                                .id = (char *)"00000000-0000-4000-8000-000000000000",
                                .revision = 1,
                                .document = json_pack("{s:i}", "concurrency", RUNS)};
        const struct revision_build build = {.language = "native",
                                             .handler = "./f",
                                             .layers = layers,
                                             .layer_count = 1,
                                             .code = "fn-1",
                                             .timeout_default_ms = 60000};

        assert(revision_create(&row, &build, &revision, NULL) == ERR_OK);
        json_decref(row.document);
}

static void engine_make(void)
{
        int pair[2];

        assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        spawn_fd = pair[0];
        link_fd = pair[1];
        assert(loop_create(&loop, NULL) == ERR_OK);
        struct local_config config = {.control = loop,
                                      .loops = &loop,
                                      .link_fds = &link_fd,
                                      .loop_count = 1,
                                      .limits = local_limits_default,
                                      .host = {.runtime_argv = runtime_argv}};
        config.limits.reply_bytes_max = REPLY_MAX;
        config.limits.log_bytes_max = LOG_MAX;
        assert(local_engine_create(&config, &engine, NULL) == ERR_OK);
        revision_make();
}

static void agent_close(void)
{
        ring_peer_close(&agent.ring);
        agent.open = false;
        buf_finish(&agent.in);
}

static void agent_exited(void)
{
        union spawn_frame frame = {.exited = {.head = {.op = SPAWN_EXITED, .id = agent.id}, .value = 0}};

        agent_close();
        agent.id = 0;
        assert(spawn_send(spawn_fd, &frame, NULL, 0, NULL) == ERR_OK);
}

static void agent_start(const struct spawn_start *start)
{
        union spawn_frame frame = {.started = {.head = {.op = SPAWN_STARTED, .id = start->head.id}, .ok = 1}};
        int fds[CHANNEL_FDS];

        assert(agent.id == 0);
        assert(ring_peer_make(&agent.ring, RING_AGENT, fds));
        agent.id = start->head.id;
        agent.open = true;
        agent.played = false;
        buf_init(&agent.in, 1 << 20);
        assert(spawn_send(spawn_fd, &frame, fds, CHANNEL_FDS, NULL) == ERR_OK);
        for (size_t i = 0; i < CHANNEL_FDS; i++)
                close(fds[i]);
}

static void play_spawn(void)
{
        union spawn_frame frame;
        int fds[SPAWN_FDS_MAX];
        size_t count;

        while (spawn_receive(spawn_fd, &frame, fds, &count, NULL) == ERR_OK) {
                if (frame.head.op == SPAWN_START)
                        agent_start(&frame.start);
                else if (frame.head.op == SPAWN_KILL && agent.id == frame.head.id)
                        agent_exited();
        }
}

static void put_header(struct buf *out, unsigned type, size_t length, uint32_t stream)
{
        unsigned char header[FRAME_HEADER_LEN] = {0};

        for (int i = 0; i < 4; i++) {
                header[i] = (unsigned char)(length >> 8 * i);
                header[8 + i] = (unsigned char)(stream >> 8 * i);
        }
        header[4] = (unsigned char)type;
        assert(buf_append(out, header, sizeof(header)) == ERR_OK);
}

/* The input's frames for a stream. */
static void frames_of(struct str in, uint32_t stream, struct buf *out)
{
        while (in.len >= 3) {
                unsigned type = (unsigned char)in.p[0];
                size_t length = (unsigned char)in.p[1] | (size_t)(unsigned char)in.p[2] << 8;
                in = str_slice(in, 3, in.len);
                if (RUNS > 1 && in.len > 0) {
                        stream = agent.first + (unsigned char)in.p[0] % (RUNS + 1);
                        in = str_slice(in, 1, in.len);
                }
                length = length < in.len ? length : in.len;
                bool channel = type == FRAME_READY || type == FRAME_FAILED || type == FRAME_SPECIALISE;
                if (type != RAW)
                        put_header(out, type & 0x7f, length,
                                   channel              ? 0
                                   : (type & 0x80) != 0 ? stream + 1
                                                        : stream);
                assert(buf_append(out, in.p, length) == ERR_OK);
                in = str_slice(in, length, in.len);
        }
}

static void put(const struct buf *out)
{
        size_t at = 0;

        for (int i = 0; i < STEPS_MAX && at < out->len && agent.open; i++) {
                ssize_t n = ring_peer_send(&agent.ring, out->data + at, out->len - at);
                if (n > 0)
                        at += (size_t)n;
                loop_step(loop, false);
                play_spawn();
        }
}

static struct invocation invs[RUNS];

static void cancel_second(void)
{
        engine->ops->cancel(engine, &invs[RUNS > 1]);
        for (int i = 0; i < 3; i++)
                loop_step(loop, false);
}

static void agent_act(const struct frame *frame, struct str in)
{
        own_buf struct buf out = {.max = SENT_MAX};

        if (frame->type == FRAME_SPECIALISE) {
                assert(frame_put(&out, FRAME_READY, 0, (struct str){NULL, 0}) == ERR_OK);
                put(&out);
        } else if (frame->type == FRAME_END && ++agent.ends == RUNS) {
                agent.played = true;
                if (RUNS > 1)
                        cancel_second();
                frames_of(in, frame->stream, &out);
                put(&out);
        }
        if (frame->type == FRAME_HEAD && agent.first == 0)
                agent.first = frame->stream;
}

static void play_agent(struct str in)
{
        struct frame frame;
        size_t used;

        if (!agent.open || agent.played)
                return;
        assert(buf_reserve(&agent.in, 65536) == ERR_OK);
        ssize_t n = ring_peer_receive(&agent.ring, agent.in.data + agent.in.len, 65536, false);
        agent.in.len += n > 0 ? (size_t)n : 0;
        while (!agent.played && agent.open &&
               frame_parse((struct str){agent.in.data, agent.in.len}, &frame, &used, NULL) == ERR_OK) {
                agent_act(&frame, in);
                if (agent.open)
                        buf_consume(&agent.in, used);
        }
}

static void run_done(struct invocation *inv)
{
        ++*(int *)inv->arg;
}

/* What the gateway relies on when it makes a reply of it. */
static void check(const struct invocation *inv)
{
        size_t at = 0;

        assert(inv->body.len <= REPLY_MAX && inv->log_stdout.len + inv->log_stderr.len <= LOG_MAX + 512);
        if (inv->error_type != NULL) {
                json_t *error = NULL;
                assert(json_parse((struct str){inv->error.data, inv->error.len}, &error, NULL) == ERR_OK);
                assert(json_is_object(error) && inv->body.len == 0);
                json_decref(error);
        }
        if (inv->code != ERR_OK) {
                assert(inv->err.text[0] != '\0');
                return;
        }
        assert(inv->status >= 200 && inv->status <= 599);
        assert(http_value_valid((struct str){inv->content.data, inv->content.len}));
        while (at < inv->head.len) {
                struct str name = str_of(inv->head.data + at),
                           value = str_of(inv->head.data + at + name.len + 1);
                assert(http_token_valid(name) && http_value_valid(value));
                at += name.len + value.len + 2;
        }
        assert(at == inv->head.len);
}

static void step(struct str in)
{
        play_spawn();
        play_agent(in);
        loop_step(loop, false);
}

static void begin(struct invocation *inv, int *done)
{
        *done = 0;
        invocation_init(inv);
        uuid_generate(inv->run_id);
        inv->revision = revision;
        inv->loop = loop;
        inv->method = STR("POST");
        inv->target = STR("/");
        inv->scheme = STR("http");
        inv->payload = STR("{\"a\":1}");
        inv->deadline_ms = clock_mono_ms() + 60000;
        inv->done = run_done;
        inv->arg = done;
        engine->ops->invoke(engine, inv);
}

static bool all_done(const int *done)
{
        for (int i = 0; i < RUNS; i++) {
                if (done[i] == 0)
                        return false;
        }
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = {(const char *)data, size};
        int done[RUNS];

        if (size > SENT_MAX / 8)
                return 0;
        if (engine == NULL)
                engine_make();
        agent.played = false;
        agent.first = 0;
        agent.ends = 0;
        for (int i = 0; i < RUNS; i++)
                begin(&invs[i], &done[i]);
        for (int i = 0; i < STEPS_MAX && !agent.played && !all_done(done); i++)
                step(in);
        for (int i = 0; i < 3; i++)
                step(in);
        if (agent.id != 0)
                agent_exited(); /* an agent that ends: whatever is open is over */
        for (int i = 0; i < STEPS_MAX && !all_done(done); i++)
                step(in);
        for (int i = 0; i < 3; i++)
                step(in);
        for (int i = 0; i < RUNS; i++) {
                assert(done[i] == 1);
                check(&invs[i]);
                invocation_finish(&invs[i]);
        }
        return 0;
}
