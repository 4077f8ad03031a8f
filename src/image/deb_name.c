/* image/deb_name.c: see deb_name.h. Part of dispatch-system too, so it needs nothing but base/str.h. */
#include "image/deb_name.h"

enum { NAME_LEN_MAX = 128, VERSION_LEN_MAX = 128 };

bool deb_text_plain(struct str text, const char *more)
{
        for (size_t i = 0; i < text.len; i++) {
                char c = text.p[i];
                bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
                if (!plain && (c == '\0' || strchr(more, c) == NULL))
                        return false;
        }
        return text.len > 0;
}

static bool name_valid(struct str name)
{
        struct str architecture = name, package = str_cut(&architecture, ':');

        if (package.len < 2 || package.len > NAME_LEN_MAX || !deb_text_plain(package, "+.-"))
                return false;
        if (package.len < name.len && !deb_text_plain(architecture, "-"))
                return false;
        /* "name-" would be an order to apt-get to remove it. */
        char first = package.p[0], last = package.p[package.len - 1];
        return first != '-' && first != '+' && first != '.' && last != '-';
}

bool deb_name_valid(struct str package)
{
        struct str version = package, name = str_cut(&version, '=');

        if (!name_valid(name))
                return false;
        if (name.len == package.len)
                return true;
        return version.len <= VERSION_LEN_MAX && deb_text_plain(version, "+.:~-") && version.p[0] != '-';
}
