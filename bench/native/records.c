/*
 * bench/native/records.c: how many records of runs a second the recorder takes and stores.
 *
 *      bench-records FOLDER [RECORDS]
 *
 * The records are those of a small JSON handler with a line of log, of 50 functions; they are made beforehand
 * and handed over in rounds, each as large as the queue allows. A round ends when the store has all of it.
 * Prints "appended PER_SECOND", from the first hand-over to the last commit of all rounds, and "cpu
 * NANOSECONDS" a record.
 */
#include "base/own.h"
#include "engine/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUND = 32768, FUNCTIONS = 50 };

static uint64_t clock_ns(clockid_t clock)
{
        struct timespec now;

        clock_gettime(clock, &now);
        return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void fail(const struct err *err)
{
        fprintf(stderr, "bench-records: %s\n", err->text);
        exit(1);
}

static char *copy(const char *text)
{
        char *made = strdup(text);

        if (made == NULL)
                abort();
        return made;
}

static struct run_record *record_new(unsigned number)
{
        struct run_record *record = run_record_create();
        char name[32];

        if (record == NULL)
                abort();
        snprintf(name, sizeof(name), "function-%u", number % FUNCTIONS);
        record->function = copy(name);
        record->organization = copy("dispatch-server");
        record->project = copy("default");
        snprintf(record->function_id, sizeof(record->function_id), "00000000-0000-4000-8000-%012u",
                 number % FUNCTIONS);
        buf_append_text(&record->input, "{\"name\":\"Jon\"}");
        record->inv.payload = (struct str){record->input.data, record->input.len};
        record->inv.content_type = STR("application/json");
        record->inv.method = STR("GET");
        record->inv.target = STR("/hello?name=Jon");
        record->inv.start = START_HOT;
        record->inv.status = 200;
        record->inv.timing = (struct invocation_timing){.queue_us = 2, .handler_us = 40};
        record->inv.cpu_us = 38;
        record->inv.memory_peak_bytes = 9 << 20;
        buf_append_text(&record->inv.content, "application/json");
        buf_append_text(&record->inv.body, "{\"myField\":\"Hello, Jon from Nowhere\"}");
        buf_append_text(&record->inv.log_stdout, "messages to stdout show up in logs\n");
        run_record_finished(record);
        return record;
}

int main(int argc, char **argv)
{
        unsigned records = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 8 * ROUND, written = 0;
        uint64_t wall = 0, cpu = 0;
        static struct run_record *made[ROUND];
        struct loop *loop;
        struct store *store;
        struct recorder *recorder;
        char url[4096];
        struct err err;

        if (argc < 2 || records == 0) {
                fprintf(stderr, "usage: bench-records FOLDER [RECORDS]\n");
                return 2;
        }
        snprintf(url, sizeof(url), "sqlite:%s", argv[1]);
        if (loop_create(&loop, &err) != ERR_OK || store_open(url, &store, &err) != ERR_OK ||
            recorder_create(loop, store, argv[1], 1, true, &recorder, &err) != ERR_OK)
                fail(&err);
        while (written < records) {
                unsigned count = records - written < ROUND ? records - written : ROUND;
                for (unsigned i = 0; i < count; i++)
                        made[i] = record_new(written + i);
                uint64_t wall_begun = clock_ns(CLOCK_MONOTONIC),
                         cpu_begun = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
                for (unsigned i = 0; i < count; i++)
                        recorder_put(recorder, made[i]);
                loop_step(loop, false); /* all of them arrive */
                if (recorder_flush(recorder, &err) != ERR_OK)
                        fail(&err);
                wall += clock_ns(CLOCK_MONOTONIC) - wall_begun;
                cpu += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_begun;
                written += count;
        }
        printf("appended %.0f\n", written * 1e9 / (double)wall);
        printf("cpu %.0f\n", (double)cpu / written);
        recorder_destroy(recorder);
        store_close(store);
        loop_destroy(loop);
        return 0;
}
