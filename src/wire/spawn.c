/*
 * wire/spawn.c: checks, sends and receives the frames between the server and dispatch-spawn.
 *
 * The check is the whole parser: a frame is a fixed struct, so what remains is to refuse every value that the
 * header does not allow before anybody looks at it.
 */
#include "wire/spawn.h"

#include "base/seqpacket.h"
#include "base/sha256.h"
#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bounds of what a request may ask for; what the host has is another matter. */
enum {
        MEMORY_MIB_MAX = 16 * 1024 * 1024,
        CPU_MILLICORES_MAX = 1024 * 1000,
        PIDS_MAX = 65536,
        TMP_MIB_MAX = 1024 * 1024,
        DISK_MIB_MAX = 1024 * 1024,
        FILES_MAX = 10 * 1000 * 1000
};

static bool text_ends(const char *text, size_t size)
{
        return memchr(text, '\0', size) != NULL;
}

bool spawn_name_valid(const char *name, size_t size)
{
        size_t len = strnlen(name, size);

        if (len == 0 || len == size || strstr(name, "..") != NULL)
                return false;
        for (size_t i = 0; i < len; i++) {
                char c = name[i];
                bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
                if (!alnum && (i == 0 || (c != '.' && c != '_' && c != '-')))
                        return false;
        }
        return true;
}

static bool name_or_empty(const char *name, size_t size)
{
        return name[0] == '\0' || spawn_name_valid(name, size);
}

static bool within(uint32_t value, uint32_t min, uint32_t max)
{
        return value >= min && value <= max;
}

static enum err_code bad(struct err *err, const char *what)
{
        return err_set(err, ERR_INVALID, "bad frame: %s", what);
}

/* argc strings one behind the other, the first an absolute path. */
static bool argv_valid(const struct spawn_start *start)
{
        size_t at = 0;

        if (start->argc == 0 || start->argv[0] != '/')
                return false;
        for (uint32_t i = 0; i < start->argc; i++) {
                if (at >= sizeof(start->argv))
                        return false;
                const char *end = memchr(start->argv + at, '\0', sizeof(start->argv) - at);
                if (end == NULL)
                        return false;
                at = (size_t)(end - start->argv) + 1;
        }
        return true;
}

/* Only an instance comes from another; what has no code yet names none. */
static bool role_valid(const struct spawn_start *start)
{
        if (start->role > SPAWN_ROLE_STEM ||
            start->spares > (start->role == SPAWN_ROLE_TEMPLATE ? SPAWN_SPARES_MAX : 0))
                return false;
        if (start->role != SPAWN_ROLE_INSTANCE && start->from != 0)
                return false;
        if (start->from == start->head.id && start->from != 0)
                return false;
        return start->role == SPAWN_ROLE_INSTANCE || start->role == SPAWN_ROLE_TEMPLATE ||
               start->code[0] == '\0';
}

static enum err_code check_start(const union spawn_frame *frame, struct err *err)
{
        const struct spawn_start *start = &frame->start;

        if (!role_valid(start))
                return bad(err, "role");
        if (!spawn_name_valid(start->organization, sizeof(start->organization)) ||
            !spawn_name_valid(start->function, sizeof(start->function)))
                return bad(err, "organization or function");
        if (!spawn_name_valid(start->runtime, sizeof(start->runtime)) ||
            !name_or_empty(start->code, sizeof(start->code)))
                return bad(err, "runtime or code");
        if (!spawn_name_valid(start->filter, sizeof(start->filter)))
                return bad(err, "filter");
        if (!within(start->layer_count, 1, SPAWN_LAYERS_MAX))
                return bad(err, "count of layers");
        for (uint32_t i = 0; i < start->layer_count; i++) {
                if (!spawn_name_valid(start->layers[i], sizeof(start->layers[i])))
                        return bad(err, "layer");
        }
        if (!within(start->memory_mib, 1, MEMORY_MIB_MAX) ||
            !within(start->cpu_millicores, 1, CPU_MILLICORES_MAX) || !within(start->pids_max, 1, PIDS_MAX) ||
            !within(start->tmp_mib, 1, TMP_MIB_MAX))
                return bad(err, "limit");
        if (!argv_valid(start))
                return bad(err, "argv");
        return ERR_OK;
}

/* Zeros behind the last item, so that each text of the frame means one list. */
static bool allow_valid(const char allow[ALLOW_BYTES_MAX])
{
        struct ipv4_range range;
        size_t at = 0, items = 0;

        if (allow[ALLOW_BYTES_MAX - 1] != '\0')
                return false;
        for (; allow[at] != '\0'; items++) {
                struct str item = str_of(allow + at);
                if (items == ALLOW_ITEMS_MAX || (!allow_host_valid(item) && !ipv4_range_parse(item, &range)))
                        return false;
                at += item.len + 1;
        }
        while (at < ALLOW_BYTES_MAX && allow[at] == '\0')
                at++;
        return at == ALLOW_BYTES_MAX;
}

static enum err_code check_start_egress(const union spawn_frame *frame, struct err *err)
{
        enum err_code code = check_start(frame, err);

        if (code == ERR_OK && !allow_valid(frame->egress.allow))
                code = bad(err, "allow-list");
        return code;
}

static enum err_code check_started(const union spawn_frame *frame, struct err *err)
{
        const struct spawn_started *started = &frame->started;

        if (started->ok > 1 || started->code >= ERR_CODE_COUNT || started->prepared > 1 ||
            started->reserved != 0 || !text_ends(started->text, sizeof(started->text)))
                return bad(err, "started");
        return ERR_OK;
}

static enum err_code check_exited(const union spawn_frame *frame, struct err *err)
{
        return frame->exited.by_signal > 1 ? bad(err, "exited") : ERR_OK;
}

static const struct spawn_kind kinds[] = {
        {.name = "source",
         .fds = SPAWN_BUILD_INPUT,
         .may_fds = SPAWN_BUILD_LOG,
         .language = true,
         .named = true,
         .image = true,
         .inside = true},
        {.name = "system",
         .fds = SPAWN_BUILD_INPUT,
         .may_fds = SPAWN_BUILD_LOG,
         .named = true,
         .image = true,
         .root = true,
         .egress = true},
        {.name = "debroot",
         .may_fds = SPAWN_BUILD_LOG,
         .language = true,
         .named = true,
         .root = true,
         .chroot = true,
         .egress = true},
        {.name = "builtin", .may_fds = SPAWN_BUILD_LOG, .language = true, .prefix = "builtin-"},
        {.name = "s3-put", .fds = SPAWN_BUILD_INPUT | SPAWN_BUILD_DATA, .network = true},
        {.name = "s3-get", .fds = SPAWN_BUILD_INPUT | SPAWN_BUILD_DATA, .network = true},
        {.name = "s3-delete", .fds = SPAWN_BUILD_INPUT, .network = true},
        {.name = "s3-list", .fds = SPAWN_BUILD_INPUT | SPAWN_BUILD_LOG, .network = true},
        {.name = "s3-check", .fds = SPAWN_BUILD_INPUT, .network = true},
        {.name = "export",
         .fds = SPAWN_BUILD_INPUT | SPAWN_BUILD_DATA,
         .may_fds = SPAWN_BUILD_LOG,
         .language = true,
         .parts = true,
         .blobs = true},
        {.name = "push",
         .fds = SPAWN_BUILD_INPUT,
         .may_fds = SPAWN_BUILD_LOG,
         .language = true,
         .parts = true,
         .network = true,
         .egress = true,
         .blobs = true},
        {.name = "tools", .may_fds = SPAWN_BUILD_LOG, .language = true, .prefix = "tools-"},
        {.name = "deps",
         .fds = SPAWN_BUILD_INPUT,
         .may_fds = SPAWN_BUILD_LOG,
         .language = true,
         .named = true,
         .image = true,
         .egress = true,
         .inside_only = true},
        {.name = "catalogue", .fds = SPAWN_BUILD_LOG, .image = true},
        {.name = "pull",
         .fds = SPAWN_BUILD_INPUT | SPAWN_BUILD_LOG,
         .may_fds = SPAWN_BUILD_DATA,
         .network = true,
         .egress = true,
         .blobs = true,
         .many = true},
        {.name = "inspect", .fds = SPAWN_BUILD_INPUT, .language = true, .image = true},
};

bool spawn_argv_program(char argv[SPAWN_ARGV_MAX], const char *program)
{
        size_t old = strlen(argv), len = strlen(program);

        for (size_t i = SPAWN_ARGV_MAX - (len > old ? len - old : 0); i < SPAWN_ARGV_MAX; i++) {
                if (argv[i] != '\0')
                        return false;
        }
        if (len >= SPAWN_PROGRAM_MAX)
                return false;
        if (len > old)
                memmove(argv + len, argv + old, SPAWN_ARGV_MAX - len);
        else
                memmove(argv + len, argv + old, SPAWN_ARGV_MAX - old);
        memcpy(argv, program, len);
        return true;
}

void spawn_mark(const char *organization, char out[SPAWN_MARK_LEN + 1])
{
        unsigned char sum[SHA256_LEN];
        struct sha256 sha;

        sha256_begin(&sha);
        sha256_add(&sha, organization, strlen(organization));
        sha256_end(&sha, sum);
        hex_encode(sum, SPAWN_MARK_LEN / 2, out);
        out[SPAWN_MARK_LEN] = '\0';
}

static bool looks_marked(const char *name)
{
        return name[0] == 'x' && strspn(name + 1, "0123456789abcdef") == SPAWN_MARK_LEN &&
               name[1 + SPAWN_MARK_LEN] == '\0';
}

void spawn_group(const char *name, char out[SPAWN_GROUP_MAX])
{
        size_t len = strlen(name);

        if (len < SPAWN_GROUP_MAX && spawn_name_valid(name, len + 1) && !looks_marked(name)) {
                memcpy(out, name, len + 1);
                return;
        }
        out[0] = 'x';
        spawn_mark(name, out + 1);
}

const struct spawn_kind *spawn_kind_find(const char *name)
{
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                if (strcmp(kinds[i].name, name) == 0)
                        return &kinds[i];
        }
        return NULL;
}

/* Only what the kind has. */
/* A path of the image, only where a tool runs in it. */
static bool program_ok(const struct spawn_build *build, const struct spawn_kind *kind)
{
        return text_ends(build->program, sizeof(build->program)) &&
               (build->program[0] == '\0' ||
                (build->program[0] == '/' && kind->inside && build->layer_count > 0));
}

static enum err_code check_kind(const struct spawn_build *build, const struct spawn_kind *kind,
                                struct err *err)
{
        if (kind->language ? !spawn_name_valid(build->language, sizeof(build->language))
                           : build->language[0] != '\0')
                return bad(err, "language");
        if (kind->named ? !spawn_name_valid(build->layer, sizeof(build->layer)) : build->layer[0] != '\0')
                return bad(err, "layer");
        if ((build->fds & kind->fds) != kind->fds || (build->fds & ~(kind->fds | kind->may_fds)) != 0)
                return bad(err, "descriptors");
        if (!program_ok(build, kind))
                return bad(err, "program");
        if (build->layer_count > (kind->image || kind->parts ? SPAWN_LAYERS_MAX : 0))
                return bad(err, "count of layers");
        if (kind->root && kind->image && build->layer_count == 0)
                return bad(err, "count of layers");
        if (build->network > SPAWN_NETWORK_EGRESS ||
            (build->network == SPAWN_NETWORK_HOST && !kind->network) ||
            (build->network == SPAWN_NETWORK_EGRESS && !kind->egress))
                return bad(err, "network");
        return ERR_OK;
}

static enum err_code check_build(const union spawn_frame *frame, struct err *err)
{
        const struct spawn_build *build = &frame->build;
        const struct spawn_kind *kind =
                text_ends(build->kind, sizeof(build->kind)) ? spawn_kind_find(build->kind) : NULL;

        if (kind == NULL)
                return bad(err, "kind");
        if (!name_or_empty(build->organization, sizeof(build->organization)))
                return bad(err, "organization");
        if (kind->many && build->organization[0] == '\0')
                return bad(err, "organization");
        if (check_kind(build, kind, err) != ERR_OK)
                return ERR_INVALID;
        for (uint32_t i = 0; i < build->layer_count; i++) {
                if (!spawn_name_valid(build->layers[i], sizeof(build->layers[i])))
                        return bad(err, "layer");
        }
        if (!within(build->memory_mib, 1, MEMORY_MIB_MAX) || !within(build->disk_mib, 1, DISK_MIB_MAX) ||
            !within(build->files_max, 1, FILES_MAX) ||
            !within(build->cpu_millicores, 1, CPU_MILLICORES_MAX) || !within(build->pids_max, 1, PIDS_MAX) ||
            !within(build->tmp_mib, 1, TMP_MIB_MAX))
                return bad(err, "limit");
        return ERR_OK;
}

static enum err_code check_built(const union spawn_frame *frame, struct err *err)
{
        const struct spawn_built *built = &frame->built;

        if (built->code >= ERR_CODE_COUNT || built->reserved != 0 ||
            !name_or_empty(built->layer, sizeof(built->layer)) ||
            !text_ends(built->text, sizeof(built->text)) || !text_ends(built->info, sizeof(built->info)))
                return bad(err, "built");
        return ERR_OK;
}

static enum err_code check_store(const union spawn_frame *frame, struct err *err)
{
        return frame->store.code < ERR_CODE_COUNT && frame->store.reserved == 0 ? ERR_OK : bad(err, "list");
}

static enum err_code check_blob(const union spawn_frame *frame, struct err *err)
{
        const struct spawn_blob *blob = &frame->blob;

        return spawn_name_valid(blob->folder, sizeof(blob->folder)) &&
                               spawn_name_valid(blob->name, sizeof(blob->name))
                       ? ERR_OK
                       : bad(err, "blob");
}

static enum err_code check_layer(const union spawn_frame *frame, struct err *err)
{
        const struct spawn_layer *layer = &frame->layer;

        if (!spawn_name_valid(layer->layer, sizeof(layer->layer)) || layer->exists > 1 ||
            layer->reserved != 0 || !text_ends(layer->info, sizeof(layer->info)))
                return bad(err, "layer");
        return ERR_OK;
}

static enum err_code check_gone(const union spawn_frame *frame, struct err *err)
{
        return frame->gone.reserved != 0 ? bad(err, "gone") : ERR_OK;
}

static enum err_code check_credential(const union spawn_frame *frame, struct err *err)
{
        const struct spawn_credential *credential = &frame->credential;

        if (credential->count > SPAWN_CREDENTIALS_MAX || credential->count % 2 != 0 ||
            (credential->count == 0 ? credential->index != 0 : credential->index >= credential->count) ||
            credential->ok > 1 || credential->code >= ERR_CODE_COUNT ||
            !text_ends(credential->text, sizeof(credential->text)))
                return bad(err, "credential");
        return ERR_OK;
}

static enum err_code check_nothing(const union spawn_frame *frame, struct err *err)
{
        (void)frame;
        (void)err;
        return ERR_OK;
}

static const struct {
        uint32_t op;
        size_t size;
        enum err_code (*check)(const union spawn_frame *frame, struct err *err);
} ops[] = {
        {SPAWN_HELLO, sizeof(struct spawn_hello), check_nothing},
        {SPAWN_SERVER_GONE, sizeof(struct spawn_gone), check_gone},
        {SPAWN_STARTED, sizeof(struct spawn_started), check_started},
        {SPAWN_EXITED, sizeof(struct spawn_exited), check_exited},
        {SPAWN_BUILT, sizeof(struct spawn_built), check_built},
        {SPAWN_LAYER, sizeof(struct spawn_layer), check_layer},
        {SPAWN_CREDENTIAL, sizeof(struct spawn_credential), check_credential},
        {SPAWN_READY, sizeof(struct spawn_head), check_nothing},
        {SPAWN_START, sizeof(struct spawn_start), check_start},
        {SPAWN_START_EGRESS, sizeof(struct spawn_start_egress), check_start_egress},
        {SPAWN_FREEZE, sizeof(struct spawn_head), check_nothing},
        {SPAWN_THAW, sizeof(struct spawn_head), check_nothing},
        {SPAWN_KILL, sizeof(struct spawn_head), check_nothing},
        {SPAWN_BUILD, sizeof(struct spawn_build), check_build},
        {SPAWN_LAYER_STAT, sizeof(struct spawn_layer), check_layer},
        {SPAWN_LAYER_DROP, sizeof(struct spawn_layer), check_layer},
        {SPAWN_STORE, sizeof(struct spawn_store), check_store},
        {SPAWN_STORE_LIST, sizeof(struct spawn_head), check_nothing},
        {SPAWN_BLOB_DROP, sizeof(struct spawn_blob), check_blob},
};

enum { OPS_COUNT = sizeof(ops) / sizeof(ops[0]) };

static size_t op_index(uint32_t op)
{
        size_t i = 0;

        while (i < OPS_COUNT && ops[i].op != op)
                i++;
        return i;
}

size_t spawn_frame_size(uint32_t op)
{
        size_t i = op_index(op);

        return i < OPS_COUNT ? ops[i].size : 0;
}

enum err_code spawn_frame_check(const union spawn_frame *frame, size_t size, struct err *err)
{
        if (size < sizeof(frame->head))
                return bad(err, "too short");

        size_t i = op_index(frame->head.op);
        if (i == OPS_COUNT)
                return bad(err, "unknown operation");
        if (size != ops[i].size)
                return bad(err, "wrong size");
        if (frame->head.reserved != 0)
                return bad(err, "reserved field");
        return ops[i].check(frame, err);
}

union fds_space {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(SPAWN_FDS_MAX * sizeof(int))];
};

enum err_code spawn_send(int fd, const union spawn_frame *frame, const int *fds, size_t fd_count,
                         struct err *err)
{
        union fds_space space;
        struct iovec iov = {.iov_base = (void *)frame, .iov_len = spawn_frame_size(frame->head.op)};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t sent;

        assert(fd_count <= SPAWN_FDS_MAX);
        assert(spawn_frame_check(frame, iov.iov_len, NULL) == ERR_OK);
        if (fd_count > 0) {
                memset(&space, 0, sizeof(space));
                message.msg_control = space.bytes;
                message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
                struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
                memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
        }
        do {
                sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        } while (sent < 0 && errno == EINTR);
        if (sent >= 0)
                return ERR_OK;
        if (errno == EAGAIN || errno == ENOBUFS)
                return err_set(err, ERR_LIMIT, "the link is full");
        if (errno == EPIPE || errno == ECONNRESET)
                return err_set(err, ERR_CANCELLED, "the other end of the link is closed");
        return err_sys(err, "send frame");
}

static void fds_close(int *fds, size_t count)
{
        for (size_t i = 0; i < count; i++)
                close(fds[i]);
}

/* The descriptors that came; the kernel has already closed those that did not fit into the space. */
static size_t fds_take(struct msghdr *message, int fds[SPAWN_FDS_MAX])
{
        size_t count = 0;

        for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg != NULL; cmsg = CMSG_NXTHDR(message, cmsg)) {
                if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t here = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                assert(count + here <= SPAWN_FDS_MAX);
                memcpy(fds + count, CMSG_DATA(cmsg), here * sizeof(int));
                count += here;
        }
        return count;
}

enum err_code spawn_receive(int fd, union spawn_frame *frame, int fds[SPAWN_FDS_MAX], size_t *ret_count,
                            struct err *err)
{
        union fds_space space;
        struct iovec iov = {.iov_base = frame, .iov_len = sizeof(*frame)};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = space.bytes,
                                 /* Not CMSG_SPACE: its padding would take one more. */
                                 .msg_controllen = CMSG_LEN(SPAWN_FDS_MAX * sizeof(int))};
        int taken[SPAWN_FDS_MAX];
        ssize_t got = seqpacket_recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                return err_set(err, ERR_LIMIT, "no frame is waiting");
        if (got == 0 || (got < 0 && errno == ECONNRESET))
                return err_set(err, ERR_CANCELLED, "the other end of the link is closed");
        if (got < 0)
                return err_sys(err, "receive frame");

        size_t count = fds_take(&message, taken);
        enum err_code code = ERR_OK;
        /* The kernel cuts descriptors off for two reasons: there are too many, or this process has no room.
         */
        bool short_of = message.msg_flags & MSG_CTRUNC && count < SPAWN_FDS_MAX;
        if (message.msg_flags & MSG_TRUNC || (message.msg_flags & MSG_CTRUNC && !short_of))
                code = bad(err, "too long");
        else
                code = spawn_frame_check(frame, (size_t)got, err);
        if (code == ERR_OK && short_of) {
                *ret_count = 0;
                code = err_set(err, ERR_NO_MEMORY,
                               "this process may not have more descriptors; raise its limit (ulimit -n)");
        }
        if (code != ERR_OK) {
                fds_close(taken, count);
                return code;
        }
        memcpy(fds, taken, count * sizeof(int));
        *ret_count = count;
        return ERR_OK;
}
