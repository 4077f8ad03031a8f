/* build/s3_curl.c: finds libcurl's functions. */
#include "build/s3_curl.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};

static const struct {
        const char *name;
        size_t offset;
} functions[] = {
        {"curl_easy_init", offsetof(struct curl_library, easy_init)},
        {"curl_easy_setopt", offsetof(struct curl_library, setopt)},
        {"curl_easy_perform", offsetof(struct curl_library, perform)},
        {"curl_easy_getinfo", offsetof(struct curl_library, getinfo)},
        {"curl_easy_reset", offsetof(struct curl_library, reset)},
        {"curl_easy_cleanup", offsetof(struct curl_library, cleanup)},
        {"curl_easy_strerror", offsetof(struct curl_library, strerror)},
        {"curl_getdate", offsetof(struct curl_library, getdate)},
        {"curl_slist_append", offsetof(struct curl_library, slist_append)},
        {"curl_slist_free_all", offsetof(struct curl_library, slist_free_all)},
};

static enum err_code functions_find(void *handle, struct curl_library *library, struct err *err)
{
        for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
                void *found = dlsym(handle, functions[i].name);

                if (found == NULL)
                        return err_set(err, ERR_UNAVAILABLE, "libcurl has no %s", functions[i].name);
                /* What POSIX says of dlsym, in a way that C allows. */
                memcpy((char *)library + functions[i].offset, &found, sizeof(found));
        }
        return ERR_OK;
}

enum err_code curl_library_load(const struct curl_library **ret, struct err *err)
{
        static struct curl_library library;
        void *handle = NULL;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && handle == NULL; i++)
                handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (handle == NULL)
                return err_set(err, ERR_UNAVAILABLE,
                               "object stores need libcurl on this host: install the package libcurl4");
        enum err_code code = functions_find(handle, &library, err);
        if (code == ERR_OK)
                *ret = &library;
        return code;
}
