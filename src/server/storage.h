/*
 * server/storage.h: the options of the function store: what they have to look like, how they get from the
 * command line to the server (secrets and what root alone may read in variables, see storage_export), and
 * what they say together.
 */
#ifndef DISPATCH_SERVER_STORAGE_H
#define DISPATCH_SERVER_STORAGE_H

#include "api/storage.h"
#include "base/err.h"
#include "server/options.h"

enum { STORAGE_TEXT_MAX = 512, STORAGE_CA_MAX = 100 * 1024 /* a variable's length is bounded */ };

/* What --s3-ca names, for the server, which may not be able to read it. */
#define STORAGE_ENV_CA "DISPATCH_STORAGE_CA_PEM"

struct storage {
        struct api_storage api;
        char endpoint[STORAGE_TEXT_MAX], prefix[STORAGE_TEXT_MAX];
};

/* From the options in force. ERR_INVALID: the text names the option. `storage` points into `options`. */
enum err_code storage_read(const struct server_options *options, struct storage *storage, struct err *err);

/* In the front, as the user: checks the options and puts secrets, the key's file and the certificates into
 * this process's variables, which dispatch-spawn and the server inherit. */
enum err_code storage_export(const struct server_options *options, struct err *err);

#endif
