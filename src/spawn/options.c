/* spawn/options.c: parses the command line. */
#include "spawn/options.h"

#include "base/str.h"
#include "wire/egress.h"

#include <getopt.h>

enum { DRAIN_MS_DEFAULT = 30000, DRAIN_MS_MAX = 3600 * 1000, READY_MS_DEFAULT = 60000 };

enum option_id {
        OPTION_STATE_DIR = 1,
        OPTION_RUNTIME_DIR,
        OPTION_USER,
        OPTION_BUILD_HELPER,
        OPTION_SERVER,
        OPTION_LISTEN,
        OPTION_CREDENTIAL,
        OPTION_NETWORK_RANGE,
        OPTION_QUOTA,
        OPTION_LOOPS,
        OPTION_DRAIN_MS,
        OPTION_READY_MS
};

static const struct option names[] = {
        {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
        {"runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR},
        {"user", required_argument, NULL, OPTION_USER},
        {"build-helper", required_argument, NULL, OPTION_BUILD_HELPER},
        {"server", required_argument, NULL, OPTION_SERVER},
        {"listen", required_argument, NULL, OPTION_LISTEN},
        {"credential", required_argument, NULL, OPTION_CREDENTIAL},
        {"network-range", required_argument, NULL, OPTION_NETWORK_RANGE},
        {"organization-limits", required_argument, NULL, OPTION_QUOTA},
        {"loops", required_argument, NULL, OPTION_LOOPS},
        {"drain-ms", required_argument, NULL, OPTION_DRAIN_MS},
        {"ready-ms", required_argument, NULL, OPTION_READY_MS},
        {NULL, 0, NULL, 0},
};

static enum err_code number_parse(const char *name, uint64_t min, uint64_t max, uint32_t *ret,
                                  struct err *err)
{
        uint64_t value;

        if (!str_to_u64(str_of(optarg), &value) || value < min || value > max)
                return err_set(err, ERR_INVALID, "--%s must be a number from %llu to %llu", name,
                               (unsigned long long)min, (unsigned long long)max);
        *ret = (uint32_t)value;
        return ERR_OK;
}

static enum err_code option_take(struct options *options, int id, struct err *err)
{
        switch (id) {
        case OPTION_STATE_DIR:
                options->state_dir = optarg;
                return ERR_OK;
        case OPTION_RUNTIME_DIR:
                options->runtime_dir = optarg;
                return ERR_OK;
        case OPTION_USER:
                options->user = optarg;
                return ERR_OK;
        case OPTION_BUILD_HELPER:
                options->build_helper = optarg;
                return ERR_OK;
        case OPTION_SERVER:
                options->server = optarg;
                return ERR_OK;
        case OPTION_LISTEN:
                if (options->listen_count == OPTIONS_LISTEN_MAX)
                        return err_set(err, ERR_INVALID, "--listen may be given %d times",
                                       OPTIONS_LISTEN_MAX);
                options->listen[options->listen_count++] = optarg;
                return ERR_OK;
        case OPTION_CREDENTIAL:
                if (options->credential_count == OPTIONS_CREDENTIALS_MAX)
                        return err_set(err, ERR_INVALID, "--credential may be given %d times",
                                       OPTIONS_CREDENTIALS_MAX);
                options->credentials[options->credential_count++] = optarg;
                return ERR_OK;
        case OPTION_NETWORK_RANGE:
                if (!ipv4_range_parse(str_of(optarg), &options->network_range) ||
                    options->network_range.prefix < NETWORK_RANGE_PREFIX_MIN ||
                    options->network_range.prefix > NETWORK_RANGE_PREFIX_MAX)
                        return err_set(err, ERR_INVALID,
                                       "--network-range must be a range of IPv4 addresses, from /%d to /%d",
                                       NETWORK_RANGE_PREFIX_MIN, NETWORK_RANGE_PREFIX_MAX);
                return ERR_OK;
        case OPTION_QUOTA:
                if (options->quota_count == QUOTAS_MAX)
                        return err_set(err, ERR_INVALID, "--organization-limits may be given %d times",
                                       QUOTAS_MAX);
                return quota_parse(str_of(optarg), &options->quotas[options->quota_count++], err);
        case OPTION_LOOPS:
                return number_parse("loops", 1, OPTIONS_LOOPS_MAX, &options->loops, err);
        case OPTION_DRAIN_MS:
                return number_parse("drain-ms", 0, DRAIN_MS_MAX, &options->drain_ms, err);
        case OPTION_READY_MS:
                return number_parse("ready-ms", 1, DRAIN_MS_MAX, &options->ready_ms, err);
        default:
                return err_set(err, ERR_INVALID, "unknown option, or one without its value");
        }
}

enum err_code options_parse(int argc, char **argv, struct options *ret, struct err *err)
{
        struct options options = {.network_range = {NETWORK_RANGE_DEFAULT, NETWORK_RANGE_DEFAULT_PREFIX},
                                  .loops = 1,
                                  .drain_ms = DRAIN_MS_DEFAULT,
                                  .ready_ms = READY_MS_DEFAULT,
                                  .user = "dispatch"};
        int id;

        opterr = 0;
        optind = 1;
        while ((id = getopt_long(argc, argv, "+", names, NULL)) != -1) {
                enum err_code code = option_take(&options, id, err);
                if (code != ERR_OK)
                        return code;
        }
        options.server_argv = argv + optind;
        if (options.state_dir == NULL || options.runtime_dir == NULL || options.build_helper == NULL ||
            options.server == NULL || options.server_argv[0] == NULL)
                return err_set(err, ERR_INVALID,
                               "usage: dispatch-spawn --state-dir DIR --runtime-dir DIR --build-helper PATH "
                               "--server "
                               "PATH [--user NAME] [--loops N] [--drain-ms N] [--ready-ms N] "
                               "[--network-range RANGE] [--organization-limits LIMITS]... [--listen "
                               "ROLE=ADDRESS]... "
                               "[--credential CERTIFICATE --credential KEY]... -- "
                               "ARGV...");
        *ret = options;
        return ERR_OK;
}
