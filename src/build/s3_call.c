/*
 * build/s3_call.c: one request, from its fields to the answer: URL, signature, libcurl, and whether to try
 * again.
 */
#include "build/s3.h"
#include "build/xml.h"

#include "base/own.h"
#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { URL_MAX = 16 * 1024, USER_AGENT_MAX = 64 };

static const char payload_none[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

enum err_code s3_init(struct s3 *s3, const struct s3_config *config, struct err *err)
{
        enum err_code code = curl_library_load(&s3->curl, err);

        if (code != ERR_OK)
                return code;
        s3->config = *config;
        s3->skew_s = 0;
        s3->easy = s3->curl->easy_init();
        return s3->easy != NULL ? ERR_OK : err_nomem(err);
}

void s3_finish(struct s3 *s3)
{
        if (s3->easy != NULL)
                s3->curl->cleanup(s3->easy);
        s3->easy = NULL;
}

void s3_call_finish(struct s3_call *call)
{
        buf_finish(&call->answer);
}

/* What lasts as long as one try. */
struct attempt {
        struct s3 *s3;
        struct s3_call *call;
        struct curl_slist *headers;
        struct buf url;
        char date[SIGV4_DATE_LEN + 1];
        uint64_t sent;
        uint64_t received;
        int failed; /* errno of the file */
        bool over;  /* past a maximum */
};

static void attempt_finish(struct attempt *attempt)
{
        attempt->s3->curl->slist_free_all(attempt->headers);
        buf_finish(&attempt->url);
}

/* curl's callbacks take what their options say; these are CURLOPT_READFUNCTION and company. */
static size_t on_read(char *out, size_t size, size_t count, void *arg)
{
        struct attempt *attempt = arg;
        const struct s3_call *call = attempt->call;
        size_t want = size * count, left = call->body.len - attempt->sent;

        if (want > left)
                want = left;
        if (call->body.p != NULL) {
                memcpy(out, call->body.p + attempt->sent, want);
        } else {
                ssize_t got = pread(call->body_fd, out, want, (off_t)(call->body_from + attempt->sent));
                if (got < 0 || (got == 0 && want > 0)) {
                        attempt->failed = got < 0 ? errno : EIO;
                        return CURL_READFUNC_ABORT;
                }
                want = (size_t)got;
        }
        attempt->sent += want;
        return want;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
        struct attempt *attempt = arg;

        if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > attempt->call->body.len)
                return CURL_SEEKFUNC_CANTSEEK;
        attempt->sent = (uint64_t)offset;
        return CURL_SEEKFUNC_OK;
}

static size_t sink(struct attempt *attempt, const char *bytes, size_t len)
{
        const struct s3_call *call = attempt->call;

        if (len > call->sink_max - attempt->received) {
                attempt->over = true;
                return 0;
        }
        for (size_t done = 0; done < len;) {
                ssize_t wrote =
                        pwrite(call->sink_fd, bytes + done, len - done, (off_t)(attempt->received + done));
                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote < 0) {
                        attempt->failed = errno;
                        return 0;
                }
                done += (size_t)wrote;
        }
        attempt->received += len;
        return len;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *arg)
{
        struct attempt *attempt = arg;
        long status = 0;

        attempt->s3->curl->getinfo(attempt->s3->easy, CURLINFO_RESPONSE_CODE, &status);
        if (status == 200 && attempt->call->sink_fd >= 0)
                return sink(attempt, bytes, size * count);
        if (buf_append(&attempt->call->answer, bytes, size * count) == ERR_OK)
                return size * count;
        attempt->over = true;
        return 0;
}

static void text_keep(char *out, size_t size, struct str value)
{
        value = str_trim(value, " \t\r\n");
        snprintf(out, size, "%.*s", (int)(value.len < size ? value.len : size - 1), value.p);
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
        struct attempt *attempt = arg;
        struct s3_call *call = attempt->call;
        struct str value = {bytes, size * count}, name = str_cut(&value, ':');
        char date[64];
        uint64_t number;

        if (str_eq_nocase(name, STR("etag"))) {
                text_keep(call->etag, sizeof(call->etag), value);
        } else if (str_eq_nocase(name, STR("x-amz-bucket-region"))) {
                text_keep(call->region, sizeof(call->region), value);
        } else if (str_eq_nocase(name, STR("date"))) {
                text_keep(date, sizeof(date), value);
                call->date = attempt->s3->curl->getdate(date, NULL);
        } else if (str_eq_nocase(name, STR("content-length"))) {
                if (str_to_u64(str_trim(value, " \t\r\n"), &number))
                        call->length = number;
        } else if (str_eq_nocase(name, STR("retry-after"))) {
                if (str_to_u64(str_trim(value, " \t\r\n"), &number))
                        call->retry_after_s = number < 3600 ? (uint32_t)number : 3600;
        }
        return size * count;
}

static enum err_code host_append(const struct s3_config *config, struct buf *out)
{
        return config->path_style ? buf_append_text(out, config->host)
                                  : buf_printf(out, "%s.%s", config->bucket, config->host);
}

static enum err_code path_append(const struct s3_config *config, const struct s3_call *call, struct buf *out)
{
        enum err_code code = ERR_OK;

        if (config->path_style)
                code = buf_printf(out, "/%s", config->bucket);
        if (code == ERR_OK && call->key != NULL)
                code = buf_printf(out, "/%s", call->key);
        return code == ERR_OK && out->len == 0 ? buf_append_text(out, "/") : code;
}

static enum err_code header_add(struct attempt *attempt, const char *name, struct str value)
{
        own_buf struct buf line = {.max = SIGV4_TEXT_MAX};

        if (buf_printf(&line, "%s: %.*s", name, STR_ARG(value)) != ERR_OK || buf_text(&line) == NULL)
                return ERR_NO_MEMORY;
        struct curl_slist *longer = attempt->s3->curl->slist_append(attempt->headers, buf_text(&line));
        if (longer == NULL)
                return ERR_NO_MEMORY;
        attempt->headers = longer;
        return ERR_OK;
}

static enum err_code url_make(struct attempt *attempt, struct str host, struct str path)
{
        const struct s3_call *call = attempt->call;
        enum err_code code =
                buf_printf(&attempt->url, "%s://%.*s", attempt->s3->config.scheme, STR_ARG(host));

        if (code == ERR_OK)
                code = sigv4_encode(&attempt->url, path, true);
        if (code == ERR_OK && call->query_count > 0)
                code = buf_append_text(&attempt->url, "?");
        if (code == ERR_OK)
                code = sigv4_query(&attempt->url, call->query, call->query_count);
        return code == ERR_OK && buf_text(&attempt->url) == NULL ? ERR_NO_MEMORY : code;
}

/* The headers that curl does not make by itself, and the signature. */
static enum err_code attempt_sign(struct attempt *attempt, struct str host, struct str path, struct err *err)
{
        const struct s3_config *config = &attempt->s3->config;
        const struct s3_call *call = attempt->call;
        const char *payload = call->payload != NULL ? call->payload : payload_none;
        struct sigv4_field headers[4] = {{"host", host},
                                         {"x-amz-content-sha256", str_of(payload)},
                                         {"x-amz-date", str_of(attempt->date)},
                                         {"x-amz-security-token", str_of(config->session_token)}};
        struct sigv4_request request = {.method = call->method,
                                        .path = path,
                                        .query = call->query,
                                        .query_count = call->query_count,
                                        .headers = headers,
                                        .header_count = config->session_token[0] != '\0' ? 4 : 3,
                                        .payload = payload};
        struct sigv4_keys keys = {config->access_key, config->secret_key, config->region, "s3"};
        own_buf struct buf authorization = {.max = SIGV4_TEXT_MAX};
        enum err_code code = sigv4_authorize(&keys, &request, attempt->date, &authorization, err);

        if (code != ERR_OK)
                return code;
        for (size_t i = 1; i < request.header_count && code == ERR_OK; i++)
                code = header_add(attempt, headers[i].name, headers[i].value);
        if (code == ERR_OK)
                code = header_add(attempt, "Authorization",
                                  (struct str){authorization.data, authorization.len});
        /* Not the ones that curl would add, which are not signed. */
        if (code == ERR_OK)
                code = header_add(attempt, "Expect", STR(""));
        if (code == ERR_OK)
                code = header_add(attempt, "Content-Type", STR(""));
        return code == ERR_OK ? ERR_OK : err_nomem(err);
}

static enum err_code attempt_make(struct attempt *attempt, struct err *err)
{
        own_buf struct buf host = {.max = URL_MAX}, path = {.max = URL_MAX};
        const struct s3 *s3 = attempt->s3;

        sigv4_date(time(NULL) + (time_t)s3->skew_s, attempt->date);
        if (host_append(&s3->config, &host) != ERR_OK ||
            path_append(&s3->config, attempt->call, &path) != ERR_OK ||
            url_make(attempt, (struct str){host.data, host.len}, (struct str){path.data, path.len}) != ERR_OK)
                return err_set(err, ERR_TOO_LARGE, "an address at the object store is too long");
        return attempt_sign(attempt, (struct str){host.data, host.len}, (struct str){path.data, path.len},
                            err);
}

static void options_set(struct attempt *attempt)
{
        const struct s3 *s3 = attempt->s3;
        const struct s3_call *call = attempt->call;
        CURL *easy = s3->easy;
        __typeof__(curl_easy_setopt) *set = s3->curl->setopt;
        bool body = call->payload != NULL;

        s3->curl->reset(easy);
        set(easy, CURLOPT_URL, attempt->url.data);
        set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        set(easy, CURLOPT_PATH_AS_IS, 1L);
        set(easy, CURLOPT_NOSIGNAL, 1L);
        set(easy, CURLOPT_NOPROXY, "*");
        set(easy, CURLOPT_USERAGENT, "dispatch");
        set(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)S3_CONNECT_MS);
        set(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        set(easy, CURLOPT_LOW_SPEED_TIME, (long)((s3->config.stall_ms + 999) / 1000));
        set(easy, CURLOPT_HTTPHEADER, attempt->headers);
        set(easy, CURLOPT_HEADERFUNCTION, on_header);
        set(easy, CURLOPT_HEADERDATA, attempt);
        set(easy, CURLOPT_WRITEFUNCTION, on_write);
        set(easy, CURLOPT_WRITEDATA, attempt);
        if (strcmp(call->method, "HEAD") == 0)
                set(easy, CURLOPT_NOBODY, 1L);
        if (body) {
                set(easy, CURLOPT_UPLOAD, 1L);
                set(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body.len);
                set(easy, CURLOPT_READFUNCTION, on_read);
                set(easy, CURLOPT_READDATA, attempt);
                set(easy, CURLOPT_SEEKFUNCTION, on_seek);
                set(easy, CURLOPT_SEEKDATA, attempt);
        }
        set(easy, CURLOPT_CUSTOMREQUEST, call->method);
        if (s3->config.ca[0] != '\0') {
                /* It is not written to. NOLINTNEXTLINE(performance-no-int-to-ptr) */
                struct curl_blob ca = {(char *)(uintptr_t)s3->config.ca, strlen(s3->config.ca),
                                       CURL_BLOB_NOCOPY};
                set(easy, CURLOPT_CAINFO_BLOB, &ca);
        }
}

static void on_error_element(void *arg, size_t depth, struct str name, struct str text)
{
        struct s3_call *call = arg;

        if (depth == 2 && str_eq(name, STR("Code")))
                text_keep(call->code, sizeof(call->code), text);
        else if (depth == 2 && str_eq(name, STR("Message")))
                text_keep(call->message, sizeof(call->message), text);
        else if (depth == 2 && str_eq(name, STR("Region")) && call->region[0] == '\0')
                text_keep(call->region, sizeof(call->region), text);
        else if (depth == 1 && !str_eq(name, STR("Error")))
                call->code[0] = '\0'; /* another document that happens to have such an element */
}

/* An error's document; some come with a 200 (CompleteMultipartUpload). */
static void error_read(struct s3_call *call)
{
        struct str document = {call->answer.data, call->answer.len};

        if (call->status / 100 == 2 && memmem(document.p, document.len, "<Error", 6) == NULL)
                return;
        if (document.len > 0 && xml_read(document, on_error_element, call, NULL) != ERR_OK)
                call->code[0] = '\0';
}

static void answer_clear(struct s3_call *call)
{
        call->status = 0;
        call->length = 0;
        call->sunk = 0;
        call->date = 0;
        call->retry_after_s = 0;
        call->etag[0] = call->region[0] = call->code[0] = call->message[0] = '\0';
        call->answer.max = S3_ANSWER_BYTES_MAX;
        buf_clear(&call->answer);
}

static enum err_code file_failed(const struct attempt *attempt, struct err *err)
{
        if (attempt->over)
                return err_set(err, ERR_TOO_LARGE, "the object store sent more than the %llu bytes allowed",
                               (unsigned long long)attempt->call->sink_max);
        errno = attempt->failed;
        return err_disk(err, "%s a source's file", attempt->call->sink_fd >= 0 ? "write" : "read");
}

/* One try. */
static enum err_code attempt_run(struct s3 *s3, struct s3_call *call, CURLcode *ret_result, struct err *err)
{
        __attribute__((cleanup(attempt_finish))) struct attempt attempt = {
                .s3 = s3, .call = call, .url = {.max = URL_MAX}};
        long os_error = 0;

        answer_clear(call);
        enum err_code code = attempt_make(&attempt, err);
        if (code != ERR_OK)
                return code;
        options_set(&attempt);
        *ret_result = s3->curl->perform(s3->easy);
        s3->curl->getinfo(s3->easy, CURLINFO_RESPONSE_CODE, &call->status);
        s3->curl->getinfo(s3->easy, CURLINFO_OS_ERRNO, &os_error);
        s3->curl->reset(s3->easy); /* it must not keep what points here */
        if (attempt.over || attempt.failed != 0)
                return file_failed(&attempt, err);
        call->sunk = attempt.received;
        if (*ret_result == CURLE_OK)
                error_read(call);
        if (*ret_result == CURLE_OK && call->status / 100 == 2 && call->code[0] == '\0')
                return ERR_OK;
        return s3_reason(s3, call, *ret_result, os_error, err);
}

static void back_off(const struct s3_call *call, unsigned tries)
{
        unsigned jitter;
        unsigned ms = S3_BACKOFF_MS << (tries - 1);

        random_fill(&jitter, sizeof(jitter));
        ms = ms / 2 + jitter % (ms / 2 + 1);
        if (call->retry_after_s * 1000 > ms)
                ms = call->retry_after_s * 1000;
        (void)poll(NULL, 0, (int)(ms < S3_BACKOFF_MS_MAX ? ms : S3_BACKOFF_MS_MAX));
}

enum err_code s3_send(struct s3 *s3, struct s3_call *call, struct err *err)
{
        bool set = false; /* our clock by the store's */

        for (unsigned tries = 1;; tries++) {
                CURLcode result = CURLE_OK;
                enum err_code code = attempt_run(s3, call, &result, err);

                if (code == ERR_OK)
                        return code;
                if (!set && call->date > 0 && strcmp(call->code, "RequestTimeTooSkewed") == 0) {
                        s3->skew_s = (int64_t)(call->date - time(NULL));
                        set = true;
                        continue;
                }
                if (code != ERR_UNAVAILABLE || tries >= S3_TRIES || !s3_may_pass(call, result))
                        return code;
                back_off(call, tries);
        }
}
