/*
 * build/apt_sources.h: where the host's own release of Debian comes from: the entries of its /etc/apt
 * (sources.list(5), one-line and deb822) that are of that release, its updates or its security updates, as
 * lines of a sources.list. What else the administrator has there (other vendors, other releases, backports)
 * stays out.
 */
#ifndef DISPATCH_BUILD_APT_SOURCES_H
#define DISPATCH_BUILD_APT_SOURCES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { APT_SOURCES_FILE_MAX = 1 << 20, APT_SOURCES_MAX = 64 * 1024 };

/* Appends lines, each with a line feed, from the text of one file. */
enum err_code apt_sources_list(struct str text, struct str codename, struct buf *out, struct err *err);
enum err_code apt_sources_deb822(struct str text, struct str codename, struct buf *out, struct err *err);

/* All files of a host, by the descriptor of its root, in the order of their names. Nothing appended: there
 * are none. */
enum err_code apt_sources_read(int host_fd, struct str codename, struct buf *out, struct err *err);

/* ID and VERSION_CODENAME of os-release(5); "" where there is none. */
void apt_sources_release(struct str text, struct str *ret_id, struct str *ret_codename);

#endif
