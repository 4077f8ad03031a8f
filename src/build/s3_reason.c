/* build/s3_reason.c: what a store or the way to it said, as one line that tells who can do what about it. */
#include "build/s3.h"

#include <string.h>

/* By the error's code in the answer. Texts are put behind "object store ENDPOINT: ". */
static const struct {
        const char *name;
        enum err_code code;
        const char *text;
} answers[] = {
        {"InvalidAccessKeyId", ERR_BAD_REPLY, "it does not know the access key: wrong credentials"},
        {"SignatureDoesNotMatch", ERR_BAD_REPLY, "the secret key is not the access key's: wrong credentials"},
        {"XAdminUserNotFound", ERR_BAD_REPLY, "it does not know the access key: wrong credentials"},
        {"InvalidToken", ERR_BAD_REPLY, "it does not take the session token: wrong credentials"},
        {"ExpiredToken", ERR_BAD_REPLY, "the session token has expired"},
        {"AccessDenied", ERR_BAD_REPLY, "the access key has no permission for this bucket"},
        {"AccountProblem", ERR_BAD_REPLY, "it refuses the account"},
        {"AllAccessDisabled", ERR_BAD_REPLY, "the bucket is closed to everybody"},
        {"RequestTimeTooSkewed", ERR_BAD_REPLY, "the clocks of this host and the store differ too much"},
        {"NoSuchBucket", ERR_BAD_REPLY, "the bucket is not there"},
        {"InvalidBucketName", ERR_BAD_REPLY, "it takes no bucket of that name"},
        {"NoSuchKey", ERR_NOT_FOUND, "the object is not there"},
        {"NoSuchUpload", ERR_UNAVAILABLE, "the upload was ended by somebody else"},
        {"AuthorizationHeaderMalformed", ERR_BAD_REPLY, "it expects another region"},
        {"PermanentRedirect", ERR_BAD_REPLY, "the bucket is at another endpoint or in another region"},
        {"TemporaryRedirect", ERR_UNAVAILABLE, "the bucket is being moved"},
        {"QuotaExceeded", ERR_UNAVAILABLE, "there is no space left in it"},
        {"XMinioAdminBucketQuotaExceeded", ERR_UNAVAILABLE, "there is no space left in it"},
        {"XMinioStorageFull", ERR_UNAVAILABLE, "there is no space left in it"},
        {"InsufficientCapacity", ERR_UNAVAILABLE, "there is no space left in it"},
        {"SlowDown", ERR_UNAVAILABLE, "it asks to be left in peace for a while"},
        {"BadDigest", ERR_UNAVAILABLE, "what arrived there is not what was sent"},
        {"XAmzContentSHA256Mismatch", ERR_UNAVAILABLE, "what arrived there is not what was sent"},
        {"EntityTooLarge", ERR_TOO_LARGE, "it takes no object of this size"},
        {"NotImplemented", ERR_BAD_REPLY, "it does not offer what is needed"},
};

static enum err_code of_connection(const struct s3 *s3, CURLcode result, long os_error, struct err *err)
{
        const struct s3_config *config = &s3->config;

        switch ((int)result) {
        case CURLE_COULDNT_RESOLVE_HOST:
                return err_set(err, ERR_UNAVAILABLE, "unreachable: there is no host of that name");
        case CURLE_COULDNT_CONNECT:
                return err_set(err, ERR_UNAVAILABLE, "unreachable: %s",
                               os_error != 0 ? strerror((int)os_error) : "no connection");
        case CURLE_OPERATION_TIMEDOUT:
                return err_set(err, ERR_UNAVAILABLE, "no answer: nothing came for %u ms", config->stall_ms);
        case CURLE_GOT_NOTHING:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
        case CURLE_PARTIAL_FILE:
                return err_set(err, ERR_UNAVAILABLE, "the connection broke");
        case CURLE_PEER_FAILED_VERIFICATION:
                return err_set(
                        err, ERR_BAD_REPLY,
                        "its certificate is not trusted or is another host's; --s3-ca names who signs it");
        case CURLE_SSL_CACERT_BADFILE:
                return err_set(err, ERR_BAD_REPLY, "what --s3-ca names holds no certificate (PEM)");
        case CURLE_SSL_CONNECT_ERROR:
                return err_set(err, ERR_BAD_REPLY, "no TLS with it; is it served as http://?");
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_WEIRD_SERVER_REPLY:
                return err_set(err, ERR_BAD_REPLY, "what answers there is no HTTP server");
        case CURLE_OUT_OF_MEMORY:
                return err_nomem(err);
        default:
                return err_set(err, ERR_UNAVAILABLE, "%s", s3->curl->strerror(result));
        }
}

/* An answer without a document: to a HEAD, or of something that stands before the store. */
static enum err_code of_status(const struct s3_call *call, struct err *err)
{
        switch (call->status) {
        case 301:
        case 307:
        case 308:
                return err_set(err, ERR_BAD_REPLY, "the bucket is at another endpoint or in another region");
        case 401:
                return err_set(err, ERR_BAD_REPLY, "wrong credentials");
        case 403:
                return err_set(err, ERR_BAD_REPLY, "the access key has no permission for this bucket");
        case 404:
                return err_set(err, ERR_NOT_FOUND, "the object is not there");
        case 429:
        case 503:
                return err_set(err, ERR_UNAVAILABLE, "it asks to be left in peace for a while");
        case 507:
                return err_set(err, ERR_UNAVAILABLE, "there is no space left in it");
        default:
                return err_set(err, call->status >= 500 ? ERR_UNAVAILABLE : ERR_BAD_REPLY,
                               "it answered with status %ld", call->status);
        }
}

/* A store's own words may hold anything. */
static void printable(const char *text, char *out, size_t size)
{
        size_t len = 0;

        for (; text[len] != '\0' && len + 1 < size; len++)
                out[len] = text[len] < ' ' || text[len] > '~' ? '?' : text[len];
        out[len] = '\0';
}

static enum err_code of_answer(const struct s3_call *call, struct err *err)
{
        char code[S3_CODE_MAX], message[S3_MESSAGE_MAX], region[sizeof(call->region)];

        printable(call->code, code, sizeof(code));
        printable(call->message, message, sizeof(message));
        printable(call->region, region, sizeof(region));
        for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
                if (strcmp(code, answers[i].name) == 0)
                        return err_set(err, answers[i].code, "%s (%s)%s%s", answers[i].text, code,
                                       region[0] != '\0' ? "; --s3-region " : "", region);
        }
        if (code[0] == '\0')
                return of_status(call, err);
        return err_set(err, call->status >= 500 ? ERR_UNAVAILABLE : ERR_BAD_REPLY,
                       "it answered with status %ld, %s: %s", call->status, code, message);
}

enum err_code s3_reason(const struct s3 *s3, const struct s3_call *call, CURLcode result, long os_error,
                        struct err *err)
{
        enum err_code code =
                result != CURLE_OK ? of_connection(s3, result, os_error, err) : of_answer(call, err);

        return err_wrap(err, code, "object store %s://%s, bucket %s", s3->config.scheme, s3->config.host,
                        s3->config.bucket);
}

bool s3_may_pass(const struct s3_call *call, CURLcode result)
{
        static const char *const lasting[] = {"QuotaExceeded", "XMinioAdminBucketQuotaExceeded",
                                              "XMinioStorageFull", "InsufficientCapacity", "NoSuchUpload"};

        /* A second look at a name that is not known, or at a store that took a minute, is not worth it. */
        if (result == CURLE_COULDNT_RESOLVE_HOST || result == CURLE_OPERATION_TIMEDOUT)
                return false;
        for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
                if (strcmp(call->code, lasting[i]) == 0)
                        return false;
        }
        return call->status != 507;
}
