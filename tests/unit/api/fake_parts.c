/* Stand-ins for the builder and the engine. */
#include "fixture.h"

#include "base/own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_builder fake_builder;

struct held {
        struct loop_task task;
        struct held *next;
        builder_done done;
        void *arg;
        bool builtin;
        char layer[SPAWN_NAME_MAX];
};

static struct held *held;
static struct loop *builder_loop;

static void built(struct loop_task *task)
{
        struct held *job = (struct held *)task;
        enum err_code code = job->builtin ? fake_builder.builtin_code : fake_builder.source_code;
        struct builder_result result = {.code = code,
                                        .text = code == ERR_OK ? "" : fake_builder.text,
                                        .layer = job->layer,
                                        .info = fake_builder.info};

        job->done(job->arg, &result);
        free(job);
}

static void submit(const char *layer, bool builtin, bool hold, builder_done done, void *arg)
{
        struct held *job = calloc(1, sizeof(*job));

        *job = (struct held){.task = {.run = built}, .done = done, .arg = arg, .builtin = builtin};
        snprintf(job->layer, sizeof(job->layer), "%s", layer);
        if (!hold) {
                loop_post(builder_loop, &job->task);
                return;
        }
        job->next = held;
        held = job;
}

void fake_builder_release(struct fixture *fixture)
{
        while (held != NULL) {
                struct held *job = held;

                held = job->next;
                loop_post(fixture->loop, &job->task);
        }
}

enum err_code builder_create(struct loop *loop, int link_fd, struct builder **ret, struct err *err)
{
        (void)link_fd;
        (void)err;
        builder_loop = loop;
        *ret = (struct builder *)(void *)&fake_builder;
        return ERR_OK;
}

void builder_destroy(struct builder *builder)
{
        (void)builder;
        while (held != NULL) {
                struct held *job = held;

                held = job->next;
                free(job);
        }
}

void builder_source(struct builder *builder, const char *layer, const char *language, int archive_fd,
                    builder_done done, void *arg)
{
        (void)builder;
        (void)language;
        own_fd_release(&archive_fd);
        fake_builder.sources++;
        submit(layer, false, fake_builder.source_held, done, arg);
}

void builder_compile(struct builder *builder, const char *layer, const char *language,
                     const char (*image)[SPAWN_NAME_MAX], uint32_t image_count, const char *interpreter,
                     int archive_fd, builder_done done, void *arg)
{
        (void)image;
        (void)image_count;
        (void)interpreter;
        builder_source(builder, layer, language, archive_fd, done, arg);
}

void builder_builtin(struct builder *builder, const char *language, builder_done done, void *arg)
{
        char layer[SPAWN_NAME_MAX];

        (void)builder;
        snprintf(layer, sizeof(layer), "base-%.40s", language);
        fake_builder.builtins++;
        submit(layer, true, fake_builder.builtin_held, done, arg);
}

uint64_t builder_run(struct builder *builder, const struct builder_task *task, builder_done done, void *arg)
{
        int input = task->input_fd, data = task->data_fd;

        (void)builder;
        own_fd_release(&input);
        own_fd_release(&data);
        fake_builder.tasks++;
        snprintf(fake_builder.task, sizeof(fake_builder.task), "%s", task->kind);
        submit("", false, fake_builder.source_held, done, arg);
        return 1;
}

void builder_cancel(struct builder *builder, uint64_t id)
{
        (void)builder, (void)id;
}

void builder_check(struct builder *builder, const char *layer, builder_done done, void *arg)
{
        (void)builder;
        submit(layer, false, false, done, arg);
}

void builder_drop(struct builder *builder, const char *layer)
{
        (void)builder;
        fake_builder.drops++;
        snprintf(fake_builder.dropped, sizeof(fake_builder.dropped), "%s", layer);
}

void builder_deliver(struct builder *builder, const union spawn_frame *frame)
{
        (void)builder;
        (void)frame;
}

struct deploy {
        struct loop_task task;
        struct fake_engine *engine;
        engine_deployed done;
        void *arg;
};

static struct deploy *held_deploy;

static void deploy_run(struct loop_task *task)
{
        struct deploy *deploy = (struct deploy *)task;
        struct fake_engine *engine = deploy->engine;
        struct err err = {0};

        if (engine->deploy_code != ERR_OK)
                err_set(&err, engine->deploy_code, "%s", engine->deploy_text);
        deploy->done(deploy->arg, engine->deploy_code, &err,
                     engine->deploy_trace != NULL ? str_of(engine->deploy_trace) : STR(""));
        free(deploy);
}

static void fake_deploy(struct engine *base, struct revision *revision, engine_deployed done, void *arg)
{
        struct fake_engine *engine = (struct fake_engine *)base;
        struct deploy *deploy = calloc(1, sizeof(*deploy));

        engine->deploys++;
        snprintf(engine->last_handler, sizeof(engine->last_handler), "%s", revision->handler);
        snprintf(engine->last_code, sizeof(engine->last_code), "%s", revision->code);
        snprintf(engine->last_layer, sizeof(engine->last_layer), "%s", revision->layers[0]);
        *deploy = (struct deploy){{.run = deploy_run}, engine, done, arg};
        if (engine->deploy_held)
                held_deploy = deploy;
        else
                loop_post(engine->loop, &deploy->task);
}

void fake_deploy_release(struct fixture *fixture)
{
        struct deploy *deploy = held_deploy;

        held_deploy = NULL;
        assert_non_null(deploy);
        loop_post(fixture->loop, &deploy->task);
}

static void fake_retire(struct engine *base, struct revision *revision)
{
        (void)revision;
        ((struct fake_engine *)base)->retires++;
}

static void fake_over(struct loop_task *task)
{
        struct invocation *inv =
                (struct invocation *)(void *)((char *)task - offsetof(struct invocation, task));

        inv->done(inv);
}

static void copy(char *to, size_t size, struct str from)
{
        snprintf(to, size, "%.*s", (int)from.len, from.p != NULL ? from.p : "");
}

static void fill(struct buf *to, const char *text)
{
        to->max = 1024 * 1024;
        if (text != NULL)
                assert_int_equal(buf_append_text(to, text), ERR_OK);
}

static void fake_answer(struct fake_engine *engine, struct invocation *inv)
{
        if (engine->run_refusals > 0) {
                engine->run_refusals--;
                inv->code = err_set(&inv->err, ERR_LIMIT, "the queue of the function is full");
                inv->error_type = "SystemError";
                return;
        }
        inv->start = START_HOT;
        inv->code = engine->run_code;
        inv->error_type = engine->run_error_type;
        if (inv->code != ERR_OK)
                err_set(&inv->err, inv->code, "%s", engine->run_error);
        fill(&inv->error, engine->run_error_type != NULL ? engine->run_error : NULL);
        fill(&inv->body, engine->run_body);
        fill(&inv->content, engine->run_type);
        fill(&inv->log_stdout, engine->run_stdout);
}

static void fake_invoke(struct engine *base, struct invocation *inv)
{
        struct fake_engine *engine = (struct fake_engine *)base;

        engine->invokes++;
        copy(engine->last_payload, sizeof(engine->last_payload), inv->payload);
        copy(engine->last_type, sizeof(engine->last_type), inv->content_type);
        copy(engine->last_context, sizeof(engine->last_context), inv->http_context);
        copy(engine->last_secrets, sizeof(engine->last_secrets), inv->secrets);
        engine->last_revision = inv->revision->number;
        engine->last_deadline_ms = inv->deadline_ms;
        fake_answer(engine, inv);
        inv->task.run = fake_over;
        loop_post(inv->loop, &inv->task);
}

/* Its runs are over before anybody can think better of it. */
static void fake_cancel(struct engine *base, struct invocation *inv)
{
        (void)base;
        (void)inv;
}

static enum err_code fake_cancel_named(struct engine *base, struct str organization, struct str project,
                                       struct str run_id, void (*done)(void *arg, bool found), void *arg,
                                       struct err *err)
{
        (void)base;
        (void)organization;
        (void)project;
        (void)run_id;
        (void)err;
        done(arg, false);
        return ERR_OK;
}

static const struct engine_ops fake_ops = {.name = "fake",
                                           .deploy = fake_deploy,
                                           .retire = fake_retire,
                                           .invoke = fake_invoke,
                                           .cancel = fake_cancel,
                                           .cancel_named = fake_cancel_named};

static void fake_engine_init(struct fixture *fixture)
{
        fixture->engine = (struct fake_engine){.engine = {&fake_ops},
                                               .loop = fixture->loop,
                                               .run_body = "{\"myField\":\"Hello\"}",
                                               .run_type = "application/json"};
}

static void problem(void *arg, const char *text)
{
        struct fixture *fixture = arg;

        fixture->problems++;
        snprintf(fixture->problem, sizeof(fixture->problem), "%s", text);
}

static void published(void *arg, enum err_code code, const struct err *err)
{
        (void)err;
        assert_int_equal(code, ERR_OK);
        *(bool *)arg = true;
}

static void parts_open(struct fixture *fixture)
{
        bool done = false;

        assert_int_equal(store_open(fixture->url, &fixture->store, NULL), ERR_OK);
        assert_int_equal(secrets_open(fixture->dir, &fixture->secrets, NULL), ERR_OK);
        assert_int_equal(recorder_create(fixture->loop, fixture->store, fixture->dir,
                                         fixture->generation > 0 ? fixture->generation : 1, true,
                                         &fixture->recorder, NULL),
                         ERR_OK);
        assert_int_equal(snapshot_hub_create(fixture->loop, &fixture->loop, 1, &fixture->hub, NULL), ERR_OK);
        fixture->config.store = fixture->store;
        fixture->config.secrets = fixture->secrets;
        fixture->config.recorder = fixture->recorder;
        fixture->config.hub = fixture->hub;
        assert_int_equal(builder_create(fixture->loop, 0, &fixture->config.builder, NULL), ERR_OK);
        assert_int_equal(api_create(&fixture->config, &fixture->api, NULL), ERR_OK);
        fixture->handler = api_http_handler(fixture->api);
        api_recover(fixture->api, published, &done);
        settle(fixture);
        assert_true(done);
}

static void parts_close(struct fixture *fixture)
{
        settle(fixture);
        recorder_destroy(fixture->recorder);
        builder_destroy(fixture->config.builder);
        free(held_deploy);
        held_deploy = NULL;
        api_destroy(fixture->api);
        snapshot_hub_destroy(fixture->hub);
        secrets_close(fixture->secrets);
        store_close(fixture->store);
}

static void runtimes_init(struct fixture *fixture)
{
        static struct runtime runtimes[2] = {{.language = "native"}, {.language = "python3"}};

        fixture->runtimes = (struct runtime_table){.count = 2, .runtimes = runtimes};
        assert_int_equal(reference_table_create(STR(REFERENCE_RULES_DEFAULT), &fixture->runtimes,
                                                &fixture->references, NULL),
                         ERR_OK);
}

void fixture_init(struct fixture *fixture)
{
        *fixture = (struct fixture){.dir = "/tmp/dispatch-api-XXXXXX"};
        fake_builder = (struct fake_builder){.info = "{\"handler\":\"hello.handle\",\"files\":1}"};
        assert_non_null(mkdtemp(fixture->dir));
        snprintf(fixture->url, sizeof(fixture->url), "sqlite:%s", fixture->dir);
        snprintf(fixture->sources, sizeof(fixture->sources), "%s/sources", fixture->dir);
        assert_int_equal(loop_create(&fixture->loop, NULL), ERR_OK);
        runtimes_init(fixture);
        fake_engine_init(fixture);
        fixture->config = (struct api_config){.control = fixture->loop,
                                              .engine = &fixture->engine.engine,
                                              .references = fixture->references,
                                              .sources_dir = fixture->sources,
                                              .organization = "dispatch-server",
                                              .project = "default",
                                              .dispatch_host = "dispatch.local",
                                              .image_registry = "dispatch",
                                              .version_json = "{\"version\":\"1.2.3\"}",
                                              .skip_auth = true,
                                              .reconcile_ms = 5,
                                              .problem = problem,
                                              .arg = fixture};
        parts_open(fixture);
}

void fixture_finish(struct fixture *fixture)
{
        char command[128];

        parts_close(fixture);
        reference_table_destroy(fixture->references);
        settle(fixture);
        loop_destroy(fixture->loop);
        snprintf(command, sizeof(command), "rm -rf %s", fixture->dir);
        assert_int_equal(system(command), 0); /* a test may */
}

void fixture_restart(struct fixture *fixture)
{
        parts_close(fixture);
        parts_open(fixture);
}

void settle(struct fixture *fixture)
{
        for (int i = 0; i < 50; i++)
                loop_step(fixture->loop, false);
}

enum err_code builder_store_list(struct builder *builder, builder_stored done, void *arg, struct err *err)
{
        (void)builder;
        (void)done;
        (void)arg;
        (void)err;
        return ERR_OK; /* and it never comes */
}

void builder_deliver_store(struct builder *builder, const union spawn_frame *frame, int fd)
{
        (void)builder;
        (void)frame;
        (void)fd;
}

void builder_blob_drop(struct builder *builder, const char *folder, const char *name)
{
        (void)builder;
        (void)folder;
        (void)name;
}

uint64_t builder_oldest_ms(const struct builder *builder)
{
        (void)builder;
        return 0;
}
