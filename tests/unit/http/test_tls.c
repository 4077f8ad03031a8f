/*
 * tests/unit/http/test_tls.c: what is of TLS alone: certificates and keys that are refused, handshakes in
 * pieces, of clients that are slow or lost, ends that can be told from cuts, names, and a change of
 * certificates.
 */
#define HARNESS_TLS
#include "harness.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/un.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* Certificates and keys */

struct files {
        struct buf certificate, key;
};

static void files_finish(struct files *files)
{
        buf_finish(&files->certificate);
        buf_finish(&files->key);
}

static void bio_take(BIO *bio, struct buf *out)
{
        char *text;
        long len = BIO_get_mem_data(bio, &text);

        buf_init(out, 1 << 20);
        assert_int_equal(buf_append(out, text, (size_t)len), ERR_OK);
        BIO_free(bio);
}

/* Takes over the key; valid for the days given, from a day ago. */
static struct files files_make(EVP_PKEY *key, int days, const char *passphrase)
{
        X509 *certificate = X509_new();
        BIO *certificate_out = BIO_new(BIO_s_mem()), *key_out = BIO_new(BIO_s_mem());
        struct files files;

        assert_non_null(key);
        X509_set_version(certificate, X509_VERSION_3);
        X509_gmtime_adj(X509_getm_notBefore(certificate), -86400L + (days < 0 ? days * 86400L : 0));
        X509_gmtime_adj(X509_getm_notAfter(certificate), days * 86400L);
        X509_set_pubkey(certificate, key);
        assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
        assert_int_equal(PEM_write_bio_X509(certificate_out, certificate), 1);
        assert_int_equal(PEM_write_bio_PrivateKey(key_out, key, passphrase != NULL ? EVP_aes_128_cbc() : NULL,
                                                  NULL, 0, NULL, (void *)passphrase),
                         1);
        bio_take(certificate_out, &files.certificate);
        bio_take(key_out, &files.key);
        X509_free(certificate);
        EVP_PKEY_free(key);
        return files;
}

static struct str view(const struct buf *buf)
{
        return (struct str){buf->data, buf->len};
}

static char warned[ERR_TEXT_MAX];

static void warn(void *arg, const char *text)
{
        (void)arg;
        snprintf(warned, sizeof(warned), "%s", text);
}

static enum err_code create(struct str certificate, struct str key, struct err *err)
{
        const struct tls_pair pair = {certificate, key, "the.crt", "the.key"};
        struct tls_context *context = NULL;

        warned[0] = '\0';
        enum err_code code = tls_context_create(&pair, 1, warn, NULL, &context, err);
        tls_context_unref(context);
        assert_int_equal(ERR_peek_error(), 0);
        return code;
}

static void refused(struct str certificate, struct str key, const char *text)
{
        struct err err;

        assert_int_equal(create(certificate, key, &err), ERR_INVALID);
        assert_string_equal(err.text, text);
}

static void files_that_are_no_pair_are_refused_by_name(void **state)
{
        struct files one = files_make(EVP_EC_gen("P-256"), 10, NULL),
                     other = files_make(EVP_EC_gen("P-256"), 10, NULL),
                     locked = files_make(EVP_EC_gen("P-256"), 10, "secret");
        own_buf struct buf chain = {.max = 1 << 20};

        (void)state;
        assert_int_equal(create(view(&one.certificate), view(&one.key), NULL), ERR_OK);
        assert_string_equal(warned, "");
        refused(STR(""), view(&one.key), "the.crt holds no certificate in PEM form");
        refused(view(&one.key), view(&one.key), "the.crt holds no certificate in PEM form");
        refused(view(&one.certificate), STR("rubbish"), "the.key holds no private key in PEM form");
        refused(view(&one.certificate), view(&other.key),
                "the key the.key does not belong to the certificate the.crt");
        refused(view(&locked.certificate), view(&locked.key),
                "the key the.key is encrypted; give one without a passphrase, readable by root alone");

        assert_int_equal(buf_append(&chain, one.certificate.data, one.certificate.len), ERR_OK);
        assert_int_equal(buf_append(&chain, other.certificate.data, other.certificate.len), ERR_OK);
        assert_int_equal(create(view(&chain), view(&one.key), NULL), ERR_OK);
        chain.data[one.certificate.len + 100] = '!';
        refused(view(&chain), view(&one.key), "certificate 2 of the.crt is malformed");
        files_finish(&one);
        files_finish(&other);
        files_finish(&locked);
}

static void what_is_weak_is_refused_and_what_is_old_is_told(void **state)
{
        struct files weak = files_make(EVP_RSA_gen(1024), 10, NULL),
                     old = files_make(EVP_EC_gen("P-256"), -3, NULL),
                     rsa = files_make(EVP_RSA_gen(2048), 10, NULL);

        (void)state;
        refused(view(&weak.certificate), view(&weak.key),
                "the certificate the.crt cannot be used: ee key too small (RSA needs 2048 bits or more)");
        assert_int_equal(create(view(&rsa.certificate), view(&rsa.key), NULL), ERR_OK);
        assert_int_equal(create(view(&old.certificate), view(&old.key), NULL), ERR_OK);
        assert_string_equal(warned, "the certificate the.crt has expired: clients will refuse it");
        files_finish(&weak);
        files_finish(&old);
        files_finish(&rsa);
}

static void a_pair_of_its_own_serves_the_names_it_was_made_for(void **state)
{
        const struct str names[] = {STR("localhost"), STR("127.0.0.1"), STR("::1"), STR("*.dispatch.local")},
                         more[] = {STR("localhost"), STR("192.0.2.1")}, shorter[] = {STR("127.0.0.1")};
        own_buf struct buf certificate = {.max = 1 << 20}, key = {.max = 1 << 20};

        (void)state;
        assert_int_equal(tls_self_sign(names, 4, &certificate, &key, NULL), ERR_OK);
        assert_int_equal(create(view(&certificate), view(&key), NULL), ERR_OK);
        assert_true(tls_certificate_serves(view(&certificate), names, 4));
        assert_true(tls_certificate_serves(view(&certificate), shorter, 1));
        assert_false(tls_certificate_serves(view(&certificate), more, 2));
        assert_false(tls_certificate_serves(view(&key), shorter, 1));
        assert_false(tls_certificate_serves(STR(""), shorter, 1));
}

/* Connections */

static void handshake(struct harness *harness)
{
        while (SSL_do_handshake(harness->ssl) != 1) {
                assert_int_equal(SSL_get_error(harness->ssl, -1), SSL_ERROR_WANT_READ);
                loop_step(harness->loop, false);
        }
        harness_client_reads(harness, true);
}

/* A client that has not said anything yet. */
static void connect_silent(struct harness *harness)
{
        int fds[2];

        harness_disconnect(harness);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        harness_connect_fd(harness, fds[0]);
        harness_client_reads(harness, false);
        assert_int_equal(http_server_adopt_tls(harness->server, fds[1], NULL), ERR_OK);
        harness_secure(harness);
}

/* The client's bytes go through memory, so that they can be cut anywhere. */
static void pass(struct harness *harness, BIO *in, BIO *out, size_t step)
{
        char bytes[65536];
        int len = BIO_read(out, bytes, sizeof(bytes));

        for (int at = 0; at < len; at += (int)step) {
                size_t part = (size_t)(len - at) < step ? (size_t)(len - at) : step;
                if (send(harness->client, bytes + at, part, MSG_NOSIGNAL) < 0)
                        return;
                loop_step(harness->loop, false);
                loop_step(harness->loop, false);
        }
        ssize_t n = recv(harness->client, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0)
                BIO_write(in, bytes, (int)n);
        if (len <= 0 && n < 0)
                loop_step(harness->loop, false);
}

static void exchange_in_pieces(struct harness *harness, int version, size_t step)
{
        static const char requests[] =
                GET("/hello") "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345";
        char reply[4096] = "";
        int have = 0;

        connect_silent(harness);
        BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
        SSL_set_bio(harness->ssl, in, out);
        SSL_set_max_proto_version(harness->ssl, version);
        while (SSL_do_handshake(harness->ssl) != 1)
                pass(harness, in, out, step);
        assert_int_equal(SSL_version(harness->ssl), version);
        assert_int_equal(SSL_write(harness->ssl, requests, sizeof(requests) - 1), sizeof(requests) - 1);
        while (have < 5 || memcmp(reply + have - 5, "12345", 5) != 0) {
                int n = SSL_read(harness->ssl, reply + have, (int)sizeof(reply) - 1 - have);
                have += n > 0 ? n : 0;
                pass(harness, in, out, step);
        }
        reply[have] = '\0';
        assert_non_null(strstr(reply, "hello"));
}

static void bytes_may_come_in_pieces_of_any_size(void **state)
{
        struct harness *harness = *state;
        static const size_t steps[] = {1, 2, 3, 4, 5, 6, 7, 11, 100, 517, 1000, 65536};

        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
                exchange_in_pieces(harness, TLS1_3_VERSION, steps[i]);
                exchange_in_pieces(harness, TLS1_2_VERSION, steps[i]);
        }
}

/* Why the server did not want this one; its own calls empty the queue that the reason stands in. */
static int reason_of_refusal(struct harness *harness)
{
        for (;;) {
                ERR_clear_error();
                int result = SSL_do_handshake(harness->ssl);
                int error = SSL_get_error(harness->ssl, result),
                    reason = ERR_GET_REASON(ERR_peek_last_error());
                assert_int_not_equal(result, 1);
                ERR_clear_error();
                if (error != SSL_ERROR_WANT_READ)
                        return reason;
                loop_step(harness->loop, false);
        }
}

static void older_versions_are_refused_with_an_alert(void **state)
{
        struct harness *harness = *state;

        connect_silent(harness);
        SSL_set_security_level(harness->ssl, 0);
        SSL_set_min_proto_version(harness->ssl, TLS1_VERSION);
        SSL_set_max_proto_version(harness->ssl, TLS1_1_VERSION);
        assert_int_equal(reason_of_refusal(harness), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
}

static void a_protocol_that_is_not_ours_is_refused(void **state)
{
        struct harness *harness = *state;
        const unsigned char *chosen;
        unsigned len;

        connect_silent(harness);
        SSL_set_alpn_protos(harness->ssl, (const unsigned char *)"\x02h2\x08http/1.1", 12);
        handshake(harness);
        SSL_get0_alpn_selected(harness->ssl, &chosen, &len);
        assert_int_equal(len, 8);
        assert_memory_equal(chosen, "http/1.1", 8);

        connect_silent(harness);
        SSL_set_alpn_protos(harness->ssl, (const unsigned char *)"\x02h2", 3);
        assert_int_equal(reason_of_refusal(harness), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
}

static void renegotiation_is_refused_and_the_connection_goes_on(void **state)
{
        struct harness *harness = *state;

        connect_silent(harness);
        SSL_set_max_proto_version(harness->ssl, TLS1_2_VERSION);
        handshake(harness);
        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness_ends(harness, "hello"));
        assert_int_equal(SSL_renegotiate(harness->ssl), 1);
        (void)SSL_do_handshake(harness->ssl);
        run_until(harness, harness->client_eof); /* the client gives up when it is told no */
        assert_int_equal(harness->requests, 1);
        ERR_clear_error();
}

static void http_in_clear_is_told_where_it_is(void **state)
{
        struct harness *harness = *state;

        connect_silent(harness);
        SSL_free(harness->ssl);
        harness->ssl = NULL;
        static const char request[] = "DELETE /v1/function/x HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_int_equal(send(harness->client, request, sizeof(request) - 1, 0), sizeof(request) - 1);
        harness_quiet(harness);
        char reply[4096] = "";
        ssize_t n = recv(harness->client, reply, sizeof(reply) - 1, 0);
        assert_true(n > 0);
        assert_memory_equal(reply, "HTTP/1.1 400 Bad Request\r\n", 26);
        assert_non_null(strstr(reply, "this port takes HTTPS alone"));
        assert_int_equal(recv(harness->client, reply, sizeof(reply), 0), 0);
        assert_int_equal(harness->requests, 0);
}

static void rubbish_ends_the_connection(void **state)
{
        struct harness *harness = *state;
        static const struct str inputs[] = {
                STR_INIT("\x16\x03\x01\xff\xff\x01"), STR_INIT("\x16\x03\x01\x00\x05hello"),
                STR_INIT("\x80\x2e\x01\x00\x02"), STR_INIT("\0\0\0\0\0\0\0\0\0\0\0"),
                STR_INIT("\x15\x03\x01\x00\x02\x02\x28")};

        for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
                char byte[512];
                ssize_t n;
                connect_silent(harness);
                assert_int_equal(send(harness->client, inputs[i].p, inputs[i].len, 0), inputs[i].len);
                harness_quiet(harness);
                shutdown(harness->client, SHUT_WR);
                do {
                        loop_step(harness->loop, false);
                        n = recv(harness->client, byte, sizeof(byte), MSG_DONTWAIT);
                } while (n > 0 || (n < 0 && errno == EAGAIN));
        }
        assert_int_equal(harness->requests, 0);
}

static void reopen_for_handshakes(struct harness *harness, uint32_t timeout_ms)
{
        struct http_limits limits = http_limits_default;

        limits.handshake_timeout_ms = timeout_ms;
        harness_reopen(harness, limits);
}

static void wait_for_the_end(struct harness *harness)
{
        char bytes[4096];
        ssize_t n;

        do {
                loop_step(harness->loop, true);
                n = recv(harness->client, bytes, sizeof(bytes), MSG_DONTWAIT);
        } while (n > 0 || (n < 0 && errno == EAGAIN));
}

static void a_client_that_says_nothing_is_given_up(void **state)
{
        struct harness *harness = *state;

        reopen_for_handshakes(harness, 60);
        connect_silent(harness);
        wait_for_the_end(harness);
}

static void a_handshake_has_a_limit_however_it_trickles(void **state)
{
        struct harness *harness = *state;
        BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
        char hello[4096];

        reopen_for_handshakes(harness, 60);
        connect_silent(harness);
        SSL_set_bio(harness->ssl, in, out);
        assert_int_equal(SSL_do_handshake(harness->ssl), -1);
        int len = BIO_read(out, hello, sizeof(hello));
        assert_true(len > 100);
        for (int at = 0; at < len - 1; at++) { /* never the last byte */
                if (send(harness->client, hello + at, 1, MSG_NOSIGNAL) < 0)
                        break;
                loop_step(harness->loop, true);
        }
        wait_for_the_end(harness);
}

static void a_client_that_goes_away_in_its_handshake_is_forgotten(void **state)
{
        struct harness *harness = *state;

        for (int i = 0; i < 20; i++) {
                connect_silent(harness);
                if (i % 2 == 0)
                        (void)SSL_do_handshake(harness->ssl);
                harness_quiet(harness);
        }
        connect_silent(harness);
        handshake(harness);
        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness_ends(harness, "hello"));
}

static void listen_for(struct harness *harness, struct http_limits limits, int *ret)
{
        struct sockaddr_un local = {.sun_family = AF_UNIX};
        struct http_handler handler = {.ctx = harness, .on_request = harness_on_request};
        struct tls_context *context = harness_context("localhost");

        *ret = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(*ret, (struct sockaddr *)&local, sizeof(sa_family_t)), 0);
        assert_int_equal(listen(*ret, 600), 0);
        harness_disconnect(harness);
        http_server_destroy(harness->server);
        assert_int_equal(
                http_server_create(harness->loop, NULL, 0, &limits, &handler, &harness->server, NULL),
                ERR_OK);
        assert_int_equal(http_server_listen_tls(harness->server, ret, 1, context, NULL), ERR_OK);
        tls_context_unref(context);
}

static int connect_to(int listener)
{
        struct sockaddr_un address;
        socklen_t len = sizeof(address);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
        return fd;
}

static void handshakes_that_hang_make_room_for_others(void **state)
{
        struct harness *harness = *state;
        struct http_limits limits = http_limits_default;
        enum { IDLE = 500 };
        int hanging[IDLE], listener;

        limits.connections_max = 50;
        listen_for(harness, limits, &listener);
        for (int i = 0; i < IDLE; i++) {
                hanging[i] = connect_to(listener);
                assert_int_equal(send(hanging[i], "\x16", 1, MSG_NOSIGNAL), 1);
                loop_step(harness->loop, false);
        }
        harness_connect_fd(harness, connect_to(listener));
        harness_client_reads(harness, false);
        harness_secure(harness);
        handshake(harness);
        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness_ends(harness, "hello"));
        for (int i = 0; i < IDLE; i++)
                close(hanging[i]);
        harness_reopen(harness, http_limits_default);
        close(listener);
}

static void an_end_can_be_told_from_a_cut(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        run_until(harness, harness->client_eof);
        assert_true(harness_ends(harness, "hello"));
        assert_false(harness->client_truncated);

        harness_reopen(harness, http_limits_default);
        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        http_reply_start(harness->held, 200, (struct http_fields){0}, -1, NULL, NULL);
        http_reply_write(harness->held, STR("half"));
        http_abort(harness->held);
        run_until(harness, harness->client_eof);
        assert_true(harness->client_truncated);
}

static void an_idle_connection_ends_properly(void **state)
{
        struct harness *harness = *state;
        struct http_limits limits = http_limits_default;

        limits.idle_timeout_ms = 60;
        harness_reopen(harness, limits);
        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness->client_eof);
        assert_true(harness_ends(harness, "hello"));
        assert_false(harness->client_truncated);
}

static void a_client_that_says_goodbye_gets_one(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness_ends(harness, "hello"));
        assert_int_equal(SSL_shutdown(harness->ssl), 0);
        run_until(harness, harness->client_eof);
        assert_false(harness->client_truncated);
}

/* More requests than fit into the server's input buffer, in one record that is read from the socket at once.
 */
static void what_tls_has_read_ahead_is_not_forgotten(void **state)
{
        struct harness *harness = *state;
        enum { REQUESTS = 400 };
        own_buf struct buf requests = {.max = 1 << 20};

        for (int i = 0; i < REQUESTS; i++)
                assert_int_equal(buf_append_text(&requests, GET("/hello")), ERR_OK);
        harness_send(harness, (struct str){requests.data, requests.len});
        run_until(harness, harness_count(harness, "hello") == REQUESTS);

        /* And when reading was paused meanwhile. */
        buf_clear(&harness->received);
        harness->requests = 0;
        harness_send(harness, STR(GET("/hold")));
        harness_send(harness, (struct str){requests.data, requests.len});
        run_until(harness, harness->held != NULL);
        harness_quiet(harness);
        assert_int_equal(harness->requests, 1);
        http_reply(harness->held, 200, (struct http_fields){0}, STR(""));
        run_until(harness, harness_count(harness, "hello") == REQUESTS);
}

static const X509 *peer(struct harness *harness)
{
        return SSL_get0_peer_certificate(harness->ssl);
}

static bool peer_is(struct harness *harness, const char *host)
{
        return X509_check_host((X509 *)peer(harness), host, 0, 0, NULL) == 1;
}

static void new_connections_get_the_new_certificate_and_old_ones_go_on(void **state)
{
        struct harness *harness = *state;
        struct tls_context *context = harness_context("new.example");
        int old_client, fds[2];

        assert_true(peer_is(harness, "localhost"));
        connect_silent(harness); /* its handshake has not begun when the certificate changes */
        http_server_tls_set(harness->server, context);
        handshake(harness);
        assert_true(peer_is(harness, "new.example"));
        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness_ends(harness, "hello"));

        SSL *old = harness->ssl;
        old_client = harness->client;
        loop_poll_destroy(harness->client_poll);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        tls_context_unref(context);
        context = harness_context("newer.example");
        http_server_tls_set(harness->server, context);
        tls_context_unref(context);
        harness_connect_fd(harness, fds[0]);
        harness_client_reads(harness, false);
        harness_adopt(harness, fds[1]);
        assert_true(peer_is(harness, "newer.example"));
        assert_int_equal(SSL_write(old, GET("/hello"), sizeof(GET("/hello")) - 1), sizeof(GET("/hello")) - 1);
        run_until(harness, harness->requests == 2);
        SSL_free(old);
        close(old_client);
}

static void the_certificate_follows_the_name_that_is_asked_for(void **state)
{
        struct harness *harness = *state;
        static const char *const asked[][2] = {{"b.example", "b.example"},
                                               {"x.c.example", "*.c.example"},
                                               {"a.example", "a.example"},
                                               {"unknown.example", "a.example"},
                                               {NULL, "a.example"}};
        const struct str names[] = {STR("a.example"), STR("b.example"), STR("*.c.example")};
        struct buf files[3][2] = {0};
        struct tls_pair pairs[3];
        struct tls_context *context;

        for (int i = 0; i < 3; i++) {
                buf_init(&files[i][0], 1 << 20);
                buf_init(&files[i][1], 1 << 20);
                assert_int_equal(tls_self_sign(&names[i], 1, &files[i][0], &files[i][1], NULL), ERR_OK);
                pairs[i] = (struct tls_pair){view(&files[i][0]), view(&files[i][1]), "crt", "key"};
        }
        assert_int_equal(tls_context_create(pairs, 3, NULL, NULL, &context, NULL), ERR_OK);
        http_server_tls_set(harness->server, context);
        tls_context_unref(context);
        for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
                connect_silent(harness);
                if (asked[i][0] != NULL)
                        SSL_set_tlsext_host_name(harness->ssl, asked[i][0]);
                handshake(harness);
                assert_true(peer_is(harness, asked[i][1][0] == '*' ? asked[i][0] : asked[i][1]));
        }
        for (int i = 0; i < 3; i++) {
                buf_finish(&files[i][0]);
                buf_finish(&files[i][1]);
        }
}

static void on_drained(void *arg)
{
        struct harness *harness = arg;

        harness->drained++;
}

static void draining_lets_a_fresh_connection_send_its_request(void **state)
{
        struct harness *harness = *state;

        harness_quiet(harness);
        http_server_drain(harness->server, on_drained, harness);
        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness->client_eof);
        assert_true(harness_has(harness, "Connection: close\r\n"));
        assert_true(harness_ends(harness, "hello"));
        run_until(harness, harness->drained == 1);
}

static void draining_does_not_wait_for_the_silent(void **state)
{
        struct harness *harness = *state;

        connect_silent(harness);
        harness_quiet(harness);
        http_server_drain(harness->server, on_drained, harness);
        run_until(harness, harness->drained == 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(files_that_are_no_pair_are_refused_by_name),
                cmocka_unit_test(what_is_weak_is_refused_and_what_is_old_is_told),
                cmocka_unit_test(a_pair_of_its_own_serves_the_names_it_was_made_for),
                http_test(bytes_may_come_in_pieces_of_any_size),
                http_test(older_versions_are_refused_with_an_alert),
                http_test(a_protocol_that_is_not_ours_is_refused),
                http_test(renegotiation_is_refused_and_the_connection_goes_on),
                http_test(http_in_clear_is_told_where_it_is),
                http_test(rubbish_ends_the_connection),
                http_test(a_client_that_says_nothing_is_given_up),
                http_test(a_handshake_has_a_limit_however_it_trickles),
                http_test(a_client_that_goes_away_in_its_handshake_is_forgotten),
                http_test(handshakes_that_hang_make_room_for_others),
                http_test(an_end_can_be_told_from_a_cut),
                http_test(an_idle_connection_ends_properly),
                http_test(a_client_that_says_goodbye_gets_one),
                http_test(what_tls_has_read_ahead_is_not_forgotten),
                http_test(new_connections_get_the_new_certificate_and_old_ones_go_on),
                http_test(the_certificate_follows_the_name_that_is_asked_for),
                http_test(draining_lets_a_fresh_connection_send_its_request),
                http_test(draining_does_not_wait_for_the_silent),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
