/*
 * wire/spawn.h: the frames between the server and dispatch-spawn.
 *
 * Transport: Unix SOCK_SEQPACKET pairs that spawn makes before it starts the server: one control link and one
 * more for each loop of the server. One datagram is one frame, a fixed struct for each operation, native byte
 * order (both ends are one build). Descriptors travel as SCM_RIGHTS with the frame that names them.
 *
 * A request carries identifiers only. spawn trusts none of it: names match [a-z0-9][a-z0-9._-]*, are found
 * below its own directory descriptors with openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), user ids come from
 * its own range, and argv runs only after every right is gone. A frame of the wrong size, operation or
 * content ends the link.
 *
 * Ids (of instances and build jobs alike) are chosen by the server and are unique on their link.
 */
#ifndef DISPATCH_WIRE_SPAWN_H
#define DISPATCH_WIRE_SPAWN_H

#include "base/allow.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        SPAWN_NAME_MAX = 80,   /* with its NUL; a layer's name */
        SPAWN_GROUP_MAX = 72,  /* with its NUL; an organization's or function's name in the cgroup tree */
        SPAWN_LAYERS_MAX = 8,  /* layers of an image */
        SPAWN_ARGV_MAX = 1024, /* bytes of all arguments, each NUL-terminated */
        SPAWN_PROGRAM_MAX = SPAWN_ARGV_MAX / 2, /* with its NUL; the path of an image's interpreter */
        SPAWN_TEXT_MAX = 480,
        SPAWN_INFO_MAX = 2048,
        SPAWN_FDS_MAX = 3,         /* descriptors with one frame */
        SPAWN_SPARES_MAX = 8,      /* sandboxes that are kept ready for one template */
        SPAWN_CREDENTIALS_MAX = 32 /* files of certificates and keys */
};

enum spawn_op {
        /* spawn to server */
        SPAWN_HELLO = 1,   /* struct spawn_hello, first on the control link */
        SPAWN_SERVER_GONE, /* struct spawn_gone: an older server has exited */
        SPAWN_STARTED,     /* struct spawn_started + the instance's channel (spawn/channel.h): three */
        SPAWN_EXITED, /* struct spawn_exited: an instance is gone, everything of it cleared or being cleared
                       */
        SPAWN_BUILT,  /* struct spawn_built: a build job ended */
        SPAWN_LAYER,  /* struct spawn_layer: answer to LAYER_STAT and LAYER_DROP */
        SPAWN_CREDENTIAL, /* struct spawn_credential + the file: certificates and keys that root alone may
                             read */
        SPAWN_STORE,      /* struct spawn_store + the list, a file: answer to STORE_LIST */

        /* server to spawn */
        SPAWN_READY = 64,   /* struct spawn_head: the server answers requests */
        SPAWN_START,        /* struct spawn_start */
        SPAWN_START_EGRESS, /* struct spawn_start_egress: one that reaches the outside */
        SPAWN_FREEZE,       /* struct spawn_head: stops all processes of an instance; no answer */
        SPAWN_THAW,         /* struct spawn_head: lets them go on; no answer */
        SPAWN_KILL,  /* struct spawn_head: SIGKILL to the whole instance or job; EXITED or BUILT follows */
        SPAWN_BUILD, /* struct spawn_build + the descriptors that it names */
        SPAWN_LAYER_STAT, /* struct spawn_layer */
        SPAWN_LAYER_DROP, /* struct spawn_layer: remove it, once no instance or job uses it any more */
        SPAWN_STORE_LIST, /* struct spawn_head: all layers and blobs (spawn/garbage.h has the form) */
        SPAWN_BLOB_DROP   /* struct spawn_blob: remove it; no answer */
};

struct spawn_head {
        uint32_t op;
        uint32_t reserved; /* 0 */
        uint64_t id;
};

struct spawn_hello {
        struct spawn_head head;
        uint32_t generation;          /* of this server; grows with each start, also over starts of spawn */
        uint32_t draining_generation; /* of an older server that still finishes its runs; 0: none */
        uint32_t instances_max;       /* what the host carries */
        uint32_t cgroup_version;      /* 1 or 2 */
        uint64_t memory_bytes;        /* of the host */
};

struct spawn_gone {
        struct spawn_head head;
        uint32_t generation;
        uint32_t reserved;
};

/*
 * What is started. A template or a zygote is a fork server: instances are forked from it (`from`), each into
 * a sandbox of its own. A template has its function's code: its channel gets SPECIALISE like an instance's,
 * and it says READY once it has imported the handler and is parked; it takes no runs. What it forks says
 * READY without being specialised. A zygote has no code: READY comes by itself once it is parked; what it
 * forks is specialised like a booted instance. A stem is a booted instance without code: a START `from` it
 * claims it, once, and the stem's id is gone with that, without EXITED.
 */
enum spawn_role { SPAWN_ROLE_INSTANCE, SPAWN_ROLE_TEMPLATE, SPAWN_ROLE_ZYGOTE, SPAWN_ROLE_STEM };

/* An answer ERR_NOT_IMPLEMENTED to a START with a role, or from one, says that this way to start is none here
 * (the text says why); ERR_NOT_FOUND: `from` is gone. The next cheapest way may be tried. */
struct spawn_start {
        struct spawn_head head;
        uint32_t role;   /* enum spawn_role */
        uint32_t spares; /* of a template: how many sandboxes to keep ready for what is forked from it */
        uint64_t from;   /* a template, zygote or stem of the same link; 0: boot. Of an instance only */
        char organization[SPAWN_GROUP_MAX]; /* cgroup: organization/function/instance */
        char function[SPAWN_GROUP_MAX];
        char runtime[SPAWN_NAME_MAX]; /* folder of the agent, mounted read-only at /runtime */
        char code[SPAWN_NAME_MAX];    /* layer mounted read-only at /function; "": an empty folder */
        char filter[24];              /* seccomp filter, by name: "default" */
        uint32_t layer_count;         /* 1 to SPAWN_LAYERS_MAX */
        char layers[SPAWN_LAYERS_MAX][SPAWN_NAME_MAX]; /* the root, lowest first */
        uint32_t memory_mib;
        uint32_t cpu_millicores;
        uint32_t pids_max;
        uint32_t tmp_mib; /* size of /tmp */
        uint32_t argc;
        char argv[SPAWN_ARGV_MAX]; /* argv[0] is an absolute path in the sandbox */
};

/* Items of base/allow.h, a NUL behind each and one more behind the last; without any it reaches all that is
 * not forbidden. What is behind that is 0. */
struct spawn_start_egress {
        struct spawn_start start;
        char allow[ALLOW_BYTES_MAX];
};

/* The instance's channel is descriptors 3 to 5 of argv's process; 0 is /dev/null, 1 and 2 are spawn's
 * business (see sandbox.h). */
struct spawn_started {
        struct spawn_head head;
        uint32_t ok;         /* 0: text says why; no channel comes, no EXITED follows */
        uint32_t code;       /* enum err_code */
        uint32_t sandbox_us; /* time spent making the sandbox */
        uint32_t fork_us;    /* and, of one that has a `from`, time spent there since */
        uint32_t prepared;   /* 1: its sandbox was there already */
        uint32_t reserved;
        uint64_t cgroup; /* N of its folder organization/function/i-N; 0: none */
        char text[SPAWN_TEXT_MAX];
};

struct spawn_exited {
        struct spawn_head head;
        uint32_t by_signal; /* 1: value is a signal number, 0: an exit status */
        int32_t value;
        uint32_t oom_kills;    /* processes of it that the kernel killed for memory */
        uint32_t pids_refused; /* forks refused by the process limit */
        uint64_t cpu_us;
        uint64_t memory_peak_bytes;
};

/* What a sandbox reaches. */
enum spawn_network {
        SPAWN_NETWORK_NONE,  /* nothing */
        SPAWN_NETWORK_HOST,  /* the host's own network: for jobs that run nobody's code */
        SPAWN_NETWORK_EGRESS /* the outside, and nothing of the host (sandbox/network.h) */
};

/* The descriptors of a build, in this order. */
enum {
        SPAWN_BUILD_INPUT = 1, /* what to do: the source archive, or a file in memory; read only */
        SPAWN_BUILD_LOG = 2,   /* a pipe for its lines (below) */
        SPAWN_BUILD_DATA = 4   /* a file or pipe of the server's that the job reads or fills */
};

/* What a kind of job has besides its staging folder, /runtime and the host's programs. */
struct spawn_kind {
        const char *name;
        uint32_t fds;     /* SPAWN_BUILD_* that it must have */
        uint32_t may_fds; /* and those that it may have */
        bool language;    /* it is for one language */
        bool named;       /* the server names its layer; else the job does, and it starts with `prefix`; of a
                             kind without one there is no layer */
        bool image;       /* it may have an image, at /image */
        bool parts;       /* or rather its layers one by one, the lowest at /layers/0 */
        bool root;   /* it is root of a range of user ids, with a bounded disk of its own (spawn/rootjob.h) */
        bool chroot; /* and may change its root, for a tool that makes one in /out */
        bool network;     /* it may have the host's network */
        bool egress;      /* it may have a network that reaches the outside */
        bool inside;      /* with an image: dispatch-inside follows dispatch-build (below) */
        bool inside_only; /* or comes in its place */
        bool blobs;       /* it sees its organization's blobs, at /blobs */
        bool many;        /* it leaves layers and blobs of its own naming (below) */
        const char *prefix;
};

struct spawn_build {
        struct spawn_head head;
        char kind[24];                      /* one of the table's */
        char organization[SPAWN_GROUP_MAX]; /* cgroup: organization/build; "" for what belongs to none */
        char language[SPAWN_NAME_MAX];      /* builtin: which; source: the language of the function, for its
                                               default handler */
        char layer[SPAWN_NAME_MAX];         /* the name the result gets; "" where the job names it */
        uint32_t layer_count;               /* 0: no image */
        char layers[SPAWN_LAYERS_MAX][SPAWN_NAME_MAX]; /* the image, lowest first */
        char program[SPAWN_PROGRAM_MAX]; /* source: the image's own interpreter; "": the runtime's */
        uint32_t network;                /* enum spawn_network */
        uint32_t fds;                    /* bits SPAWN_BUILD_*: which come along */
        uint32_t memory_mib;
        uint32_t cpu_millicores;
        uint32_t pids_max;
        uint32_t tmp_mib;
        uint32_t disk_mib; /* unpacked size */
        uint32_t files_max;
};

struct spawn_built {
        struct spawn_head head;
        uint32_t code; /* enum err_code; ERR_OK: the layer is in place and durable */
        uint32_t reserved;
        char layer[SPAWN_NAME_MAX];
        char text[SPAWN_TEXT_MAX]; /* why not */
        char info[SPAWN_INFO_MAX]; /* a JSON object of the builder: {"handler": ..., "files": n, "bytes": n,
                                      "version": ...} */
};

struct spawn_layer {
        struct spawn_head head;
        char layer[SPAWN_NAME_MAX];
        uint32_t exists;
        uint32_t reserved;
        char info[SPAWN_INFO_MAX]; /* of an answer: what its build reported, "" where that is not known */
};

/*
 * After the hello, and again when they are to be read anew (SIGHUP): a set of `count` files, one frame each
 * in the order of `index`, a certificate and then its key and so on. `id` of the head counts the sets. A set
 * of none is one frame with count 0. spawn opens the files and looks no further; ok 0: it could not, and text
 * says why.
 */
struct spawn_credential {
        struct spawn_head head;
        uint32_t index, count;
        uint32_t ok;
        uint32_t code; /* enum err_code */
        char text[SPAWN_TEXT_MAX];
};

struct spawn_store {
        struct spawn_head head;
        uint32_t code; /* enum err_code; the list comes with ERR_OK */
        uint32_t reserved;
};

struct spawn_blob {
        struct spawn_head head;
        char folder[SPAWN_NAME_MAX]; /* of an organization */
        char name[SPAWN_NAME_MAX];   /* its SHA-256 in hex */
};

union spawn_frame {
        struct spawn_head head;
        struct spawn_hello hello;
        struct spawn_gone gone;
        struct spawn_start start;
        struct spawn_start_egress egress;
        struct spawn_started started;
        struct spawn_exited exited;
        struct spawn_build build;
        struct spawn_built built;
        struct spawn_layer layer;
        struct spawn_credential credential;
        struct spawn_store store;
        struct spawn_blob blob;
};

/*
 * What dispatch-build hands to spawn before it exits with status 0: exactly one of these, in one write on its
 * descriptor 3. spawn takes code, text and info over into SPAWN_BUILT; `layer` counts for kind "builtin"
 * alone and is checked like a name in a frame. An exit without a report, or with another size, is a failed
 * build.
 *
 * dispatch-build KIND LANGUAGE DISK_MIB FILES_MAX: descriptor 3 as above, 4 to 6 the input, the log and the
 * data (/dev/null where there is none), /out the empty, writable folder that becomes the layer, and read-only
 * the folder of LANGUAGE among the runtimes at /runtime (where there is one: its manifest says what belongs
 * into the image) and an image's root at /image, or its layers at /layers/0 and so on. LANGUAGE is "-" for a
 * kind without one. Kind "builtin" reads the host's /usr, /bin, /sbin, /lib*, /etc and /var/lib/dpkg. What
 * was written is on the disk before the report is.
 *
 * A kind that goes on inside its image: once dispatch-build has ended well, dispatch-inside runs in a sandbox
 * whose root is the image, with the staging folder writable at /function and the language's folder at
 * /runtime: dispatch-inside KIND LANGUAGE DISK_MIB FILES_MAX MEMORY_MIB [PROGRAM], descriptors as above;
 * PROGRAM takes the place of the runtime's interpreter where that is what the tool runs with. The job has
 * done what both have; the info is the first one's. Kind "source" does, and does not see its image before:
 * the tool is the manifest's compiler (image/runtime.h). Kind "deps" is nothing but dispatch-inside,
 * which runs the manifest's installer: see build/inside_deps.h and, for its input, image/deps_input.h.
 *
 * Lines on the log: a type, a space, UTF-8 text without control characters, a line feed; SPAWN_LINE_MAX bytes
 * at most, but for R. Types: L a line of the build's log, P progress, R the job's result as JSON.
 */
enum { SPAWN_LINE_MAX = 4096, SPAWN_RESULT_MAX = 8 << 20 };

struct spawn_report {
        uint32_t code; /* enum err_code */
        uint32_t reserved;
        char layer[SPAWN_NAME_MAX];
        char text[SPAWN_TEXT_MAX];
        char info[SPAWN_INFO_MAX];
};

/*
 * A kind with `many` belongs to an organization and leaves what it made in folders of /out: layers/NAME, each
 * a layer, and layout/blobs/sha256/HEX, each a blob; /out/have lists the layers that are there already, a
 * name a line. NAME is oci-MARK-HEX, or stack-MARK-HEX for a list of those: a folder with a file `layers`, a
 * name a line, the lowest first. Blobs are kept even where the job fails, so the next one begins where it
 * ended.
 */
enum { SPAWN_MARK_LEN = 24, SPAWN_STACK_MAX = 128 /* layers of a stack */ };

/* The mark of an organization in the names of its layers: the first 96 bits of SHA-256, in hex. Whoever may
 * pick an organization's name must not find one that has another's mark, and so its layers. */
void spawn_mark(const char *organization, char out[SPAWN_MARK_LEN + 1]);

/* An organization's or function's name as frames have it: itself where it may stand in one, else 'x' and its
 * mark; so is a name that only looks like that, or it would be taken for the other's. */
void spawn_group(const char *name, char out[SPAWN_GROUP_MAX]);

/* Another program in argv[0]'s place. False: it does not fit. */
bool spawn_argv_program(char argv[SPAWN_ARGV_MAX], const char *program);

/* NULL: there is no such kind of job. */
const struct spawn_kind *spawn_kind_find(const char *name);

/* True for a name that may stand in a frame: [a-z0-9][a-z0-9._-]*, NUL-terminated within size, no "..". */
bool spawn_name_valid(const char *name, size_t size);

/* The size a frame of that operation must have; 0 for an unknown one. */
size_t spawn_frame_size(uint32_t op);

/* Checks size, operation, reserved fields, NUL-termination and every name of a received frame. */
enum err_code spawn_frame_check(const union spawn_frame *frame, size_t size, struct err *err);

/* Sends one frame with up to SPAWN_FDS_MAX descriptors, which stay the caller's. ERR_LIMIT: the socket is
 * full (EAGAIN). */
enum err_code spawn_send(int fd, const union spawn_frame *frame, const int *fds, size_t fd_count,
                         struct err *err);

/* Receives and checks one frame. *ret_count descriptors (CLOEXEC) are the caller's now. ERR_LIMIT: none
 * waiting (EAGAIN), ERR_CANCELLED: the other end is closed, ERR_INVALID: a bad frame (its descriptors are
 * closed), ERR_NO_MEMORY: *frame is good, but this process had no room for all descriptors that came with it
 * and has none of them (*ret_count 0): a passing shortage, the link is fine. */
enum err_code spawn_receive(int fd, union spawn_frame *frame, int fds[SPAWN_FDS_MAX], size_t *ret_count,
                            struct err *err);

#endif
